/**
 * What the database currently allows: `READ_WRITE`: everything; `READ_ONLY`: reads, because the
 * primary refuses writes or only a read host is available; `UNAVAILABLE`: nothing.
 */
export type AccessMode = "READ_WRITE" | "READ_ONLY" | "UNAVAILABLE";

/**
 * Declares what an operation does. A `read` may use a read host while the primary is unavailable; a
 * `write` fails immediately while writes are refused. An undeclared operation uses the primary, and
 * the server decides.
 */
export type Access = "read" | "write";
