import type { DatabaseConfig } from "../../src/config/mod.ts";
import { connect } from "../../src/database/connection/connect.ts";
import type { Connection } from "../../src/database/connection/connection.ts";
import type { Lend } from "../../src/database/operation/time_limit.ts";
import { Pool } from "../../src/database/pool/mod.ts";

/** A pool without breaker and recovery, so that tests see what operations do by themselves. */
export interface TestLender extends Lend, AsyncDisposable {
  readonly pool: Pool<Connection>;
}

/** Lends from a pool of `config.maxConnections`. */
export function poolLender(config: DatabaseConfig): TestLender {
  const pool = new Pool<Connection>({
    open: (signal) => connect(config, { signal }),
    max: config.maxConnections,
    maxIdle: config.maxConnections,
    maxLifetimeMs: 0,
    maxIdleTimeMs: 0,
    acquireTimeoutMs: config.acquireTimeoutMs,
  });
  const lend: Lend = async (use, signal) => {
    const connection = await pool.acquire({ signal });
    try {
      return await use(connection);
    } finally {
      pool.release(connection);
    }
  };
  return Object.assign(lend, {
    pool,
    [Symbol.asyncDispose]: () => pool.close({ timeoutMs: 0 }),
  });
}

/** Lends this one connection, to one after the other. */
export function connectionLender(connection: Connection): Lend {
  return (use) => use(connection);
}
