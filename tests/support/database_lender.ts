import type { DatabaseConfig } from "../../src/config/mod.ts";
import { systemClock } from "../../src/database/clock.ts";
import { connect } from "../../src/database/connection/connect.ts";
import type { Connection } from "../../src/database/connection/connection.ts";
import type { Lender } from "../../src/database/operation/lender.ts";
import { Pool } from "../../src/database/pool/mod.ts";

/** A lender without breaker and recovery, so that tests see what operations do by themselves. */
export interface TestLender extends Lender, AsyncDisposable {
  readonly pool: Pool<Connection>;
}

/** Lends from a pool of `config.maxConnections`. */
export function poolLender(config: DatabaseConfig): TestLender {
  const pool = new Pool<Connection>({
    open: (signal) => connect(config, { signal }),
    maxOpen: config.maxConnections,
    maxIdle: config.maxConnections,
    maxLifetimeMs: 0,
    maxIdleTimeMs: 0,
    acquireTimeoutMs: config.acquireTimeoutMs,
  });
  return {
    pool,
    clock: systemClock,
    random: Math.random,
    async lend(use, signal) {
      const connection = await pool.acquire({ signal });
      try {
        return await use(connection);
      } finally {
        pool.release(connection);
      }
    },
    [Symbol.asyncDispose]: () => pool.close({ timeoutMs: 0 }),
  };
}

/** Lends this one connection, to one after the other. */
export function connectionLender(connection: Connection): Lender {
  return { lend: (use) => use(connection), clock: systemClock, random: Math.random };
}
