import type { Clock } from "../clock.ts";
import type { Connection } from "../connection/connection.ts";

/**
 * Acquires a connection, lets `use` have it, and releases it when `use` has
 * settled. The signal ends the wait for the connection only: from then on it is
 * `use` that ends in time. What refuses the caller may be thrown at once.
 */
export type Lend = <T>(
  use: (connection: Connection) => Promise<T>,
  signal: AbortSignal | undefined,
) => Promise<T>;

/** Where operations get their connections, and time and chance from. */
export interface Lender {
  readonly lend: Lend;
  readonly clock: Clock;
  /** From 0 up to 1; for jitter. */
  readonly random: () => number;
}
