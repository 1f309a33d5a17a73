import assert from "node:assert/strict";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { ERROR_CODES } from "../../../src/database/error_codes.ts";
import { DatabaseError, type DatabaseErrorCode } from "../../../src/database/mod.ts";
import { answerTo } from "../../../src/server/database_errors.ts";
import { errorTable } from "../../../tools/write_error_reference.ts";
import { documentedErrorTable } from "../../support/error_table.ts";

const CODES = Object.keys(ERROR_CODES) as DatabaseErrorCode[];

/** What a client reads from the answer. */
function told(error: DatabaseError) {
  const { code, rawMessage, details } = answerTo(error);
  // Outgoing details are read as they stand: `findDetails` is for errors from the wire.
  const find = (desc: unknown) => details.find((one) => "desc" in one && one.desc === desc)?.value;
  const info = find(ErrorInfoSchema) as { reason: string; domain: string };
  const retry = find(RetryInfoSchema) as { retryDelay: Parameters<typeof durationMs>[0] };
  return { code, message: rawMessage, info, delayMs: retry && durationMs(retry.retryDelay) };
}

Deno.test("errors: docs/errors.md has the table of the code (else: tools/write_error_reference.ts)", () => {
  assert.deepEqual(documentedErrorTable(), errorTable());
});

Deno.test("errors: every outage is UNAVAILABLE and says when to come back", () => {
  const outages = CODES.filter((code) => new DatabaseError(code).isOutage);
  assert.ok(outages.length > 0);
  for (const outage of [...outages, "ACQUIRE_TIMEOUT", "QUEUE_FULL", "POOL_CLOSED"] as const) {
    const { code, delayMs } = told(new DatabaseError(outage));
    assert.equal(code, Code.Unavailable, outage);
    assert.ok(delayMs! > 0, outage);
  }
});

Deno.test("errors: what is no outage says what the client can do", () => {
  const answers = {
    ABORTED: Code.Canceled,
    STATEMENT_TIMEOUT: Code.DeadlineExceeded,
    SERIALIZATION_FAILURE: Code.Aborted,
    DEADLOCK: Code.Aborted,
    UNIQUE_VIOLATION: Code.AlreadyExists,
    CONSTRAINT_VIOLATION: Code.FailedPrecondition,
    READ_ONLY: Code.FailedPrecondition,
    COMMIT_UNKNOWN: Code.Unknown,
    INSUFFICIENT_PRIVILEGE: Code.Internal,
    QUERY_FAILED: Code.Internal,
  } as const;
  for (const [name, expected] of Object.entries(answers)) {
    const { code, delayMs } = told(new DatabaseError(name as DatabaseErrorCode));
    assert.equal(Code[code], Code[expected], name);
    // Of these, only a transaction that lost against another one is worth the same call again.
    assert.equal(delayMs !== undefined, code === Code.Aborted, name);
  }
});

Deno.test("errors: a client gets the public message and the reason, and nothing else", () => {
  for (const name of CODES) {
    const error = new DatabaseError(name, { message: "hunter2", cause: new Error("hunter2") });
    const { message, info } = told(error);
    assert.equal(message, error.publicMessage);
    assert.deepEqual(info, { reason: name, domain: "treasury.v1" });
    assert.match(name, /^[A-Z][A-Z0-9_]{1,61}[A-Z0-9]$/);
    assert.equal(answerTo(error).cause, error);
    assert.doesNotMatch(JSON.stringify([message, info]), /hunter2/);
  }
});

Deno.test("errors: an error that knows when to come back says so itself", () => {
  const delayOf = (retryAfterMs: number | undefined) =>
    told(new DatabaseError("ACQUIRE_TIMEOUT", { retryAfterMs })).delayMs;
  assert.equal(delayOf(undefined), 1_000);
  assert.equal(delayOf(2_500), 2_500);
  assert.equal(delayOf(0), 0);
  assert.equal(delayOf(0.12345678), 1);
  assert.equal(told(new DatabaseError("CIRCUIT_OPEN", { retryAfterMs: 7 })).delayMs, 7);
});
