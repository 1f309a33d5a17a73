import type { DatabaseConfig } from "../../config/mod.ts";
import { connect, type ConnectOptions, DatabaseError, type Sql } from "../../database/mod.ts";

/**
 * Lets `work` use one connection and closes it afterwards. Aborting closes it at once.
 *
 * @throws {DatabaseError} For what the connection and its statements throw, or the signal's reason.
 */
export async function withSession<T>(
  config: DatabaseConfig,
  options: ConnectOptions,
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  const { signal } = options;
  await using connection = await connect(config, options);
  const onAbort = () => connection.destroy(new DatabaseError("ABORTED"));
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await work(connection.sql);
  } catch (error) {
    signal?.throwIfAborted();
    throw connection.explain(error);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
