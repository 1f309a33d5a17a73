import type { Registry } from "prom-client";
import type { ConnectionBudget, DatabaseManager } from "../../database/mod.ts";
import { snapshotGauge } from "./snapshot.ts";

/** The connection budget; no values while it is unknown. */
export function addBudgetMetrics(
  registry: Registry,
  database: Pick<DatabaseManager, "connectionBudget">,
): void {
  const gauge = (name: string, help: string, read: (budget: ConnectionBudget) => number) =>
    snapshotGauge(
      registry,
      { name: `treasury_database_connection_budget_${name}`, help },
      (report) => {
        const { connectionBudget: budget } = database;
        if (budget !== undefined) report(read(budget));
      },
    );
  gauge("needed", "Maximum number of connections of all instances.", ({ needed }) => needed);
  gauge("available", "Connections available to all instances.", ({ available }) => available);
}
