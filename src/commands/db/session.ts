import type { DatabaseConfig } from "../../config/mod.ts";
import {
  connect,
  type Connection,
  type ConnectOptions,
  DatabaseError,
} from "../../database/mod.ts";

/**
 * Lets `work` use one connection and closes it afterwards. Aborting closes it at once.
 *
 * @throws {DatabaseError} For what the connection and its statements throw, or the signal's reason.
 */
export async function withSession<T>(
  config: DatabaseConfig,
  options: ConnectOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { signal } = options;
  await using connection = await connect(config, options);
  const onAbort = () => connection.destroy(new DatabaseError("ABORTED"));
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await work(connection);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
