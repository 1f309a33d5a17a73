import type { DatabaseConfig } from "../../config/mod.ts";
import type { ConnectOptions } from "../connection/connect.ts";
import type { Logger } from "../logger.ts";
import type { PoolName, PoolObserver } from "../observer.ts";
import type { Clock } from "../../time.ts";

/** What all parts of one managed pool share. */
export interface PoolContext {
  /** In logs, metrics and spans. */
  readonly name: PoolName;
  /** Whose `hosts` are those of this pool. */
  readonly config: DatabaseConfig;
  /** For every connection, in the pool and outside it. */
  readonly connectOptions: ConnectOptions;
  /** Hears what the pool does; without one nothing is measured. */
  readonly observer: PoolObserver | undefined;
  /** Gets the events named at `DatabaseManagerOptions.logger`. */
  readonly logger: Logger;
  /** For every wait and every measured duration. */
  readonly clock: Clock;
  /** From 0 up to 1; for jitter. */
  readonly random: () => number;
}
