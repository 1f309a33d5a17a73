import type { DatabaseConfig } from "../../config/mod.ts";
import { requireNoPooler } from "../connection/pooler.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { MigrationSession } from "./session.ts";

/** golang-migrate's default. */
const LOCK_TIMEOUT_MS = 15_000;

/** What everything that looks at migrations can be told. */
export interface MigrationOptions {
  /** Aborting it cancels what runs on the server. */
  readonly signal?: AbortSignal | undefined;
  /** Folder with `NNNNNN_title.up.sql` files; default: this service's. */
  readonly directory?: URL | undefined;
  /** Longest wait for another process that migrates; default: 15 s. */
  readonly lockTimeoutMs?: number | undefined;
  /**
   * Gets the events `migration.waiting`, `.surprise`, `.planned`, `.begun`, `.applied`, `.reverted`
   * and `.unreadable`.
   */
  readonly logger?: Logger | undefined;
}

/** Waits for the lock, holds it while `work` runs, and makes sure of the tables. */
export async function withLock<T>(
  config: DatabaseConfig,
  options: MigrationOptions,
  work: (session: MigrationSession) => Promise<T>,
): Promise<T> {
  const { signal = new AbortController().signal, logger = silentLogger } = options;
  const { lockTimeoutMs: timeoutMs = LOCK_TIMEOUT_MS } = options;
  requireNoPooler(config);
  return await MigrationSession.use(config, signal, async (session) => {
    await session.lock.acquire({
      timeoutMs,
      signal,
      onWait: () =>
        logger.info({ event: "migration.waiting" }, "Waiting for another process that migrates"),
    });
    await session.createTables();
    const result = await work(session);
    await session.lock.release();
    return result;
  });
}
