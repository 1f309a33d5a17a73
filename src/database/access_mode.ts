/**
 * What the database allows at the moment: `READ_WRITE` everything; `READ_ONLY` reads, because the
 * primary refuses writes or only a read host can be reached; `UNAVAILABLE` nothing.
 */
export type AccessMode = "READ_WRITE" | "READ_ONLY" | "UNAVAILABLE";

/**
 * What an operation is going to do. A `read` may go to a read host while the primary is away. A
 * `write` fails at once where writes are refused. Without either it goes to the primary, and the
 * server decides.
 */
export type Access = "read" | "write";
