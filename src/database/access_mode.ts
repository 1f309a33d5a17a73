import { DatabaseError } from "./errors.ts";

/**
 * What the database allows at the moment: `READ_WRITE` all of it; `READ_ONLY` reads, because the
 * primary refuses writes or only a read host can be reached; `UNAVAILABLE` nothing.
 */
export type AccessMode = "READ_WRITE" | "READ_ONLY" | "UNAVAILABLE";

/**
 * What an operation is going to do. A `read` may go to a read host while the primary is away; a
 * `write` fails at once where writes are refused. Without either it goes to the primary, and the
 * server judges.
 */
export type Access = "read" | "write";

/** What of a set of servers decides the access mode. */
export interface Availability {
  /** Whether calls get through. */
  readonly isUsable: boolean;
  /** Whether its server takes writes. */
  readonly isWritable: boolean;
  /** Why nothing may be written, whatever its server takes: the schema is dirty. */
  readonly writeRefusal?: DatabaseError | undefined;
  /** Why it is not usable; undefined also while it is looked for the first time. */
  readonly outage: DatabaseError | undefined;
}

/** The access mode that the primary and, if there are any, the read hosts give together. */
export function accessModeOf(primary: Availability, read?: Availability): AccessMode {
  if (primary.isUsable) return primary.isWritable ? "READ_WRITE" : "READ_ONLY";
  return read?.isUsable === true ? "READ_ONLY" : "UNAVAILABLE";
}

/**
 * Where an operation goes. Reads prefer the primary too: a read host can lag behind it.
 *
 * @throws {DatabaseError} `READ_ONLY` for what would write, or might, while it cannot.
 */
export function route<T extends Availability>(
  access: Access | undefined,
  primary: T,
  read?: T,
): T {
  if (primary.isUsable) {
    // The server would let a write through, so what is not declared as a read is refused too.
    if (access !== "read" && primary.writeRefusal !== undefined) throw held(primary.writeRefusal);
    if (access === "write" && !primary.isWritable) throw new DatabaseError("READ_ONLY");
    return primary;
  }
  // Nothing can be used: the primary's own error says why.
  if (read?.isUsable !== true) return primary;
  if (access === "read") return read;
  // It may be there in a moment, so writes wait for it as they would without read hosts.
  if (primary.outage === undefined) return primary;
  throw new DatabaseError("READ_ONLY", {
    message: "The primary cannot be used, and only reads may go to a read host (DB_READ_HOSTS)",
    cause: primary.outage,
  });
}

function held(refusal: DatabaseError): DatabaseError {
  return new DatabaseError("READ_ONLY", {
    message: `Nothing may be written: ${refusal.message}`,
    cause: refusal,
  });
}
