import assert from "node:assert/strict";
import type { DatabaseConfig } from "../../../src/config/config.ts";
import { ERROR_CODES } from "../../../src/database/error_codes.ts";
import { DatabaseError, type DatabaseErrorCode } from "../../../src/database/errors.ts";
import { silentLogger } from "../../../src/database/logger.ts";
import { Circuit, decisiveError, needsPing } from "../../../src/database/managed_pool/circuit.ts";
import type { PoolStats } from "../../../src/database/pool/mod.ts";
import { FakeClock } from "./fake_clock.ts";

const FAILURES: readonly DatabaseErrorCode[] = [
  "CONNECTION_REFUSED",
  "HOST_UNREACHABLE",
  "HOST_NOT_FOUND",
  "CONNECT_TIMEOUT",
  "CONNECTION_LOST",
  "PING_TIMEOUT",
  "SERVER_STARTING",
  "SERVER_SHUTTING_DOWN",
  "WRONG_SERVER_ROLE",
  "AUTHENTICATION_FAILED",
  "DATABASE_NOT_FOUND",
  "TLS_FAILED",
  "CONNECTION_REJECTED",
  "POOLER_MISMATCH",
  "COMMIT_UNKNOWN",
  "MIGRATION_DIRTY",
  "MIGRATION_FAILED",
  "MIGRATION_LOCKED",
];
const IGNORED: readonly DatabaseErrorCode[] = [
  "ABORTED",
  "ACQUIRE_TIMEOUT",
  "QUEUE_FULL",
  "POOL_CLOSED",
  "CIRCUIT_OPEN",
  "STOPPED_BY_OPERATOR",
  "NOT_PREPARED",
  "STATEMENT_TIMEOUT",
];

function breakerOf(circuitFailureThreshold = 2) {
  const config = { circuitFailureThreshold, retryInitialDelayMs: 20, retryMaxDelayMs: 200 };
  const { breaker } = new Circuit({
    config: config as DatabaseConfig,
    logger: silentLogger,
    clock: new FakeClock(),
    random: () => 1,
  });
  return breaker;
}

for (const code of Object.keys(ERROR_CODES) as DatabaseErrorCode[]) {
  const verdict = FAILURES.includes(code)
    ? "a failure"
    : IGNORED.includes(code)
    ? "ignored"
    : "an answer";
  Deno.test(`for the circuit ${code} is ${verdict}`, () => {
    const { consecutiveFailures, window } = (() => {
      const breaker = breakerOf();
      breaker.tryAcquire()!.failure(new DatabaseError(code));
      return breaker.snapshot();
    })();
    assert.equal(consecutiveFailures, verdict === "a failure" ? 1 : 0);
    assert.equal(window.calls, verdict === "ignored" ? 0 : 1);
  });
}

Deno.test("an unknown outcome says of the database what made it unknown", () => {
  const unknown = (cause?: unknown) =>
    decisiveError(new DatabaseError("COMMIT_UNKNOWN", { cause })).code;
  assert.equal(unknown(new DatabaseError("STATEMENT_TIMEOUT")), "STATEMENT_TIMEOUT");
  assert.equal(unknown(), "COMMIT_UNKNOWN");
  assert.equal(decisiveError(new DatabaseError("CONNECTION_LOST")).code, "CONNECTION_LOST");
});

Deno.test("the configured number of failures in a row opens the circuit", () => {
  const breaker = breakerOf();
  breaker.tryAcquire()!.failure(new DatabaseError("CONNECTION_REFUSED"));
  assert.equal(breaker.state, "closed");
  breaker.tryAcquire()!.failure(new DatabaseError("CONNECTION_REFUSED"));
  assert.equal(breaker.state, "open");
  assert.equal(breaker.snapshot().lastOpening?.cause, "CONNECTION_REFUSED");
});

Deno.test("half of the calls that fail open the circuit, from 20 calls on", () => {
  const breaker = breakerOf(100);
  for (let call = 1; call <= 20; call++) {
    assert.equal(breaker.state, "closed", `before call ${call}`);
    const permit = breaker.tryAcquire()!;
    if (call % 2 === 1) permit.success();
    else permit.failure(new DatabaseError("CONNECTION_LOST"));
  }
  assert.equal(breaker.state, "open");
  assert.equal(breaker.snapshot().lastOpening?.reason, "failureRate");
});

Deno.test("the database is asked how it is after failures, timeouts and refused writes", () => {
  const stats = { connecting: 0 } as PoolStats;
  const asked = (code: DatabaseErrorCode) => needsPing(new DatabaseError(code), stats);
  for (const code of [...FAILURES, "STATEMENT_TIMEOUT", "READ_ONLY"] as const) {
    assert.ok(asked(code), code);
  }
  for (const code of ["UNIQUE_VIOLATION", "ABORTED", "ACQUIRE_TIMEOUT", "QUEUE_FULL"] as const) {
    assert.ok(!asked(code), code);
  }
  const connecting = { connecting: 1 } as PoolStats;
  assert.ok(needsPing(new DatabaseError("ACQUIRE_TIMEOUT"), connecting), "nothing connects");
});
