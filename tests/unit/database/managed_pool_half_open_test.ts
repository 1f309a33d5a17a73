import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/mod.ts";
import { type Clock, systemClock, type TimerHandle } from "../../../src/time.ts";
import { silentLogger } from "../../../src/database/logger.ts";
import { ManagedPool } from "../../../src/database/managed_pool/managed_pool.ts";
import { eventually } from "../../support/condition.ts";

const OPEN_MS = 100;
const FOREVER_MS = 3_600_000;

/** Time passes only when somebody looks, a millisecond each time; the recovery sleeps for ever. */
class LookingClock implements Clock {
  #now = 0;
  isFrozen = true;

  now(): number {
    return this.isFrozen ? this.#now : this.#now++;
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    return systemClock.setTimeout(callback, delayMs <= OPEN_MS ? FOREVER_MS : delayMs);
  }

  clearTimeout(handle: TimerHandle | undefined): void {
    systemClock.clearTimeout(handle);
  }
}

// The open time can end between any two looks at the clock that one call takes.
for (let earlierMs = 0; earlierMs < 10; earlierMs++) {
  Deno.test(`no caller gets the recovery's probe, whenever the circuit becomes half-open (${earlierMs} earlier)`, async () => {
    const { database } = loadConfig({ env: { DB_HOST: "127.0.0.1", DB_PORT: "1" } });
    const retryDelayMs = OPEN_MS - earlierMs;
    const clock = new LookingClock();
    const pool = new ManagedPool({
      name: "primary",
      config: {
        ...database,
        retryInitialDelayMs: retryDelayMs,
        retryMaxDelayMs: retryDelayMs,
      },
      observer: undefined,
      connectOptions: { clock },
      logger: silentLogger,
      clock,
      random: () => 1,
    }, { onChange: () => {} });
    pool.start();
    await eventually(() => pool.circuit.state === "open");
    clock.isFrozen = false;
    for (let call = 0; call < OPEN_MS; call++) {
      await assert.rejects(pool.lend(() => Promise.resolve(), undefined), { code: "CIRCUIT_OPEN" });
      assert.equal(pool.circuit.snapshot().isProbing, false);
    }
    assert.equal(pool.circuit.state, "half-open");
    await pool.close({});
  });
}
