import type { Secret } from "../config/mod.ts";
import type { Clock } from "./clock.ts";
import type { Lookup } from "./connection/socket.ts";
import type { Prepare } from "./lane/known_server.ts";
import type { Logger } from "./logger.ts";
import type { DatabaseObserver } from "./observer.ts";

/** Name of a manager that is given none. */
export const DEFAULT_DATABASE_NAME = "postgresql";

/** What a `DatabaseManager` works with, beside its configuration. All of it may be left out. */
export interface DatabaseManagerOptions {
  /**
   * Tells this manager from others of the process: it is the field `database` of its log records,
   * the label `database` of its metrics, an attribute of its spans, and the name of its health
   * check is `<name>-primary`. Letters, digits, `-` and `_`, at most 63. Default: `postgresql`.
   */
  readonly name?: string | undefined;
  /**
   * Gets the events `database.connected`, `.connect_failed`, `.lost`, `.recovered`, `.read_only`,
   * `.read_write`, `.unavailable`, `.connection_budget`, `.connection_budget_unknown`, `.no_pooler`,
   * `.pool_exhausted`, `.pool_relieved`, `.leak`, `.transaction_left_open`, `.listener_failed` and
   * `.closed`.
   */
  readonly logger?: Logger | undefined;
  /**
   * Runs when the database answers for the first time, before the state becomes
   * `connected`; migrations, for instance. When it fails it is tried again. When it resolves with
   * an error, that is why nothing may be written: the access mode is `READ_ONLY`, and it runs
   * again from time to time.
   */
  readonly prepare?: Prepare | undefined;
  /** Hears of operations and of what the pools do; for metrics and traces. */
  readonly observer?: DatabaseObserver | undefined;
  /** Told of each password that is read from DB_PASSWORD_FILE, for a log that must not show it. */
  readonly onPassword?: ((password: Secret) => void) | undefined;
  /** Resolves host names; default: the operating system. */
  readonly lookup?: Lookup | undefined;
  readonly clock?: Clock | undefined;
  /** From 0 up to 1; for jitter. */
  readonly random?: (() => number) | undefined;
}
