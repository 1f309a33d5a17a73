import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { DatabaseError, DatabaseErrorCode } from "../database/mod.ts";

/** How an RPC answers a database error. */
export interface DatabaseErrorAnswer {
  readonly code: Code;
  /** When a client may try again, in milliseconds, unless the error itself knows. */
  readonly retryDelayMs?: number;
  /** Of the log record: a client's fault is no reason to wake anybody. */
  readonly level: "debug" | "info" | "warn" | "error";
}

/** Passes by itself, usually within seconds. */
const PASSING = { code: Code.Unavailable, retryDelayMs: 1_000, level: "warn" } as const;
/** Passes when somebody has repaired something. A client can do nothing but come back. */
const BROKEN = { code: Code.Unavailable, retryDelayMs: 30_000, level: "warn" } as const;
/** Goes away when the whole request is tried again. */
const CONFLICT = { code: Code.Aborted, retryDelayMs: 100, level: "info" } as const;

/** Every database error's answer; explained in `docs/errors.md`, which has this table. */
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
  // Not UNAVAILABLE, which clients repeat by themselves.
  COMMIT_UNKNOWN: { code: Code.Unknown, level: "error" },
  READ_ONLY: { code: Code.FailedPrecondition, level: "warn" },
  INVALID_USE: { code: Code.Internal, level: "error" },
  // The service's role lacks the privilege, whoever calls.
  INSUFFICIENT_PRIVILEGE: { code: Code.Internal, level: "error" },
  QUERY_FAILED: { code: Code.Internal, level: "error" },
  MIGRATION_DIRTY: BROKEN,
  MIGRATION_FAILED: BROKEN,
  MIGRATION_LOCKED: PASSING,
} as const satisfies Record<DatabaseErrorCode, DatabaseErrorAnswer>;

/** Groups the reasons of this service's ErrorInfo details (AIP-193). */
const ERROR_DOMAIN = "treasury.v1";

/**
 * The error that clients get: the public message, the reason as `google.rpc.ErrorInfo`, and when to
 * try again as `google.rpc.RetryInfo`. Everything else stays in its `cause`, which is not sent.
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
