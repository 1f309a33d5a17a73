import type { DatabaseConfig } from "../config/mod.ts";
import { type ConnectionBudget, connectionBudget, describeShortage, readLimits } from "./budget.ts";
import type { Logger } from "./logger.ts";
import { runOperation } from "./operation/operation.ts";
import type { Lend } from "./operation/time_limit.ts";

/**
 * Compares what all replicas may open with what the server allows. It only warns: nothing is broken
 * before the connections are really opened.
 *
 * Behind a pooler in transaction mode it does nothing: there the pooler decides how many
 * connections the server sees.
 */
export class BudgetCheck {
  readonly #config: DatabaseConfig;
  readonly #logger: Logger;
  #budget: ConnectionBudget | undefined;

  constructor(config: DatabaseConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
  }

  /** What the last check found; undefined before the first one. */
  get budget(): ConnectionBudget | undefined {
    return this.#budget;
  }

  /**
   * Checks once, within the ping timeout. Never rejects: without an answer the last budget stays,
   * because a server that hides its numbers can still be used.
   */
  async run(lend: Lend, signal: AbortSignal): Promise<void> {
    const { pooler, pingTimeoutMs } = this.#config;
    if (pooler === "transaction") return;
    try {
      const options = { signal, timeoutMs: pingTimeoutMs };
      this.#found(connectionBudget(this.#config, await runOperation(lend, readLimits, options)));
    } catch (err) {
      if (signal.aborted) return;
      const event = "database.connection_budget_unknown";
      this.#logger.warn({ event, err }, "The limits of connections could not be asked for");
    }
  }

  /** Logs what is news. */
  #found(budget: ConnectionBudget): void {
    const before = this.#budget && describeShortage(this.#budget);
    this.#budget = Object.freeze(budget);
    const shortage = describeShortage(budget);
    if (shortage === before) return;
    const { needed, available, narrowest: { scope } } = budget;
    const fields = { event: "database.connection_budget", needed, available, scope };
    if (shortage === undefined) {
      this.#logger.info(fields, "The connections of all replicas fit into the server");
    } else {
      const advice = "lower DB_MAX_CONNECTIONS or DB_REPLICAS, raise the limit, or use a pooler";
      this.#logger.warn(fields, `Too many connections: ${shortage}; ${advice}`);
    }
  }
}
