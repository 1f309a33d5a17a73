import type { DatabaseConfig } from "../../config/mod.ts";
import {
  connect,
  type Connection,
  type ConnectOptions,
  DatabaseError,
} from "../../database/mod.ts";

/**
 * Opens a connection, passes it to `work`, and closes it. Aborting closes it immediately.
 *
 * @throws {DatabaseError} If connecting or a statement fails, or the reason of the signal.
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
