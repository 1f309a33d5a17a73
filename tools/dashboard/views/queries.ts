import type { Row } from "../panel.ts";
import { HERE, quantile } from "../query.ts";

/** Duration of operations and calls. */
export const QUERIES: Row = {
  title: "Query performance",
  panels: [
    {
      title: "Operations per second",
      description: "Queries, transactions and uses of a connection.",
      kind: "timeseries",
      unit: "ops",
      stacked: true,
      queries: [{
        expr:
          `sum by (operation, outcome) (rate(db_client_operation_duration_seconds_count{${HERE}}[$__rate_interval]))`,
        legend: "{{operation}} {{outcome}}",
      }],
    },
    {
      title: "Duration (P50, P95, P99)",
      description: "P99 above a second for ten minutes: TreasurySlowOperations.",
      kind: "timeseries",
      unit: "s",
      queries: [0.5, 0.95, 0.99].map((q) => ({
        expr: quantile(q, "db_client_operation_duration_seconds", "operation"),
        legend: `{{operation}} P${100 * q}`,
      })),
    },
    {
      title: "RPC duration (P99)",
      description: "Latency for callers, by method and protocol.",
      kind: "timeseries",
      unit: "s",
      queries: [{
        expr: quantile(0.99, "rpc_server_call_duration_seconds", "method, protocol"),
        legend: "{{method}} {{protocol}}",
      }],
    },
    {
      title: "Event loop delay (P99)",
      description:
        "Above half a second, the process is overloaded, and its latencies are not the database's.",
      kind: "timeseries",
      unit: "s",
      queries: [{
        expr: quantile(0.99, "deno_event_loop_delay_seconds", "instance"),
        legend: "{{instance}}",
      }],
      failAt: 0.5,
    },
  ],
};
