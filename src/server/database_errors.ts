import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { DatabaseError, DatabaseErrorCode } from "../database/mod.ts";

/** The gRPC status of a database error, and how it is logged. */
export interface DatabaseErrorAnswer {
  readonly code: Code;
  /** When a client may retry, in milliseconds, unless the error has its own delay. */
  readonly retryDelayMs?: number;
  /** Of the log record. Errors caused by a client are no reason to alert anyone. */
  readonly level: "debug" | "info" | "warn" | "error";
}

/** Recovers without intervention, usually within seconds. */
const PASSING = { code: Code.Unavailable, retryDelayMs: 1_000, level: "warn" } as const;
/** Needs intervention by an operator. A client can only retry later. */
const BROKEN = { code: Code.Unavailable, retryDelayMs: 30_000, level: "warn" } as const;
/** A retry of the whole request may succeed. */
const CONFLICT = { code: Code.Aborted, retryDelayMs: 100, level: "info" } as const;

/** The status of each database error. `docs/errors.md` contains this table and explains it. */
export const DATABASE_ERROR_ANSWERS = {
  CONNECTION_REFUSED: PASSING,
  HOST_UNREACHABLE: PASSING,
  HOST_NOT_FOUND: PASSING,
  CONNECT_TIMEOUT: PASSING,
  CONNECTION_LOST: PASSING,
  PING_TIMEOUT: PASSING,
  SERVER_STARTING: PASSING,
  SERVER_SHUTTING_DOWN: PASSING,
  WRONG_SERVER_ROLE: PASSING,
  AUTHENTICATION_FAILED: BROKEN,
  DATABASE_NOT_FOUND: BROKEN,
  TLS_FAILED: BROKEN,
  CONNECTION_REJECTED: BROKEN,
  POOLER_MISMATCH: BROKEN,
  TOO_MANY_CONNECTIONS: PASSING,
  OUT_OF_RESOURCES: { ...BROKEN, level: "error" },
  ACQUIRE_TIMEOUT: PASSING,
  QUEUE_FULL: PASSING,
  CIRCUIT_OPEN: PASSING,
  STOPPED_BY_OPERATOR: BROKEN,
  NOT_PREPARED: PASSING,
  POOL_CLOSED: PASSING,
  ABORTED: { code: Code.Canceled, level: "debug" },
  STATEMENT_TIMEOUT: { code: Code.DeadlineExceeded, level: "warn" },
  LOCK_TIMEOUT: CONFLICT,
  SERIALIZATION_FAILURE: CONFLICT,
  DEADLOCK: CONFLICT,
  UNIQUE_VIOLATION: { code: Code.AlreadyExists, level: "info" },
  CONSTRAINT_VIOLATION: { code: Code.FailedPrecondition, level: "info" },
  TRANSACTION_ABORTED: { code: Code.Internal, level: "error" },
  // Not UNAVAILABLE, which clients retry automatically.
  COMMIT_UNKNOWN: { code: Code.Unknown, level: "error" },
  READ_ONLY: { code: Code.FailedPrecondition, level: "warn" },
  INVALID_USE: { code: Code.Internal, level: "error" },
  // The role of the service lacks the privilege, not the caller.
  INSUFFICIENT_PRIVILEGE: { code: Code.Internal, level: "error" },
  QUERY_FAILED: { code: Code.Internal, level: "error" },
  MIGRATION_DIRTY: BROKEN,
  MIGRATION_FAILED: BROKEN,
  MIGRATION_LOCKED: PASSING,
} as const satisfies Record<DatabaseErrorCode, DatabaseErrorAnswer>;

/** The domain of the reasons in ErrorInfo (AIP-193). */
const ERROR_DOMAIN = "treasury.v1";

/**
 * The error that clients receive: the public message, the reason as `google.rpc.ErrorInfo`, and the
 * retry delay as `google.rpc.RetryInfo`. All other details stay in its `cause`, which is not sent.
 *
 * Source: https://google.aip.dev/193
 */
export function answerTo(error: DatabaseError): ConnectError {
  const { code, retryDelayMs }: DatabaseErrorAnswer = DATABASE_ERROR_ANSWERS[error.code];
  const reason = { reason: error.code, domain: ERROR_DOMAIN };
  const answer = new ConnectError(error.publicMessage, code, undefined, [
    { desc: ErrorInfoSchema, value: reason },
  ], error);
  const delayMs = error.retryAfterMs ?? retryDelayMs;
  if (delayMs !== undefined) {
    // Rounded up: a Duration holds whole nanoseconds.
    const retryDelay = durationFromMs(Math.ceil(delayMs));
    answer.details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  return answer;
}
