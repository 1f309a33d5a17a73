import type { Row } from "./panel.ts";

const HERE = 'job="$job",instance=~"$instance"';
const OK = { text: "yes", color: "green" };
const BAD = { text: "no", color: "red" };

/** A quantile over the time that one step of the panel covers. */
function quantile(q: number, metric: string, by: string, matchers = HERE): string {
  return `histogram_quantile(${q}, sum by (${by}, le) (rate(${metric}_bucket{${matchers}}[$__rate_interval])))`;
}

/** The specification's five views: pool, health, query performance, errors, recovery. */
export const ROWS: readonly Row[] = [
  {
    title: "Health",
    panels: [
      {
        title: "Database reachable",
        description:
          "Whether the primary is connected. For more than a minute: TreasuryDatabaseUnreachable.",
        kind: "stat",
        unit: "short",
        queries: [{ expr: `treasury_database_up{${HERE}}`, legend: "{{instance}}" }],
        words: { 0: BAD, 1: OK },
      },
      {
        title: "Ready for traffic",
        description: "What /readyz says.",
        kind: "stat",
        unit: "short",
        queries: [{ expr: `treasury_health_ready{${HERE}}`, legend: "{{instance}}" }],
        words: { 0: BAD, 1: OK },
      },
      {
        title: "Dependencies",
        description: "The status of each dependency over time.",
        kind: "state-timeline",
        unit: "short",
        queries: [
          {
            expr: `treasury_health_dependency_status{${HERE},status="healthy"}` +
              ` + ignoring(status) (2 * treasury_health_dependency_status{${HERE},status="degraded"})`,
            legend: "{{instance}} {{dependency}}",
          },
        ],
        words: {
          0: { text: "unhealthy", color: "red" },
          1: { text: "healthy", color: "green" },
          2: { text: "degraded", color: "orange" },
        },
      },
      {
        title: "Duration of health checks (P99)",
        description: "The specification allows 100 ms.",
        kind: "timeseries",
        unit: "s",
        queries: [{
          expr: quantile(0.99, "treasury_health_check_duration_seconds", "dependency"),
          legend: "{{dependency}}",
        }],
        failAt: 0.1,
      },
    ],
  },
  {
    title: "Connection pool",
    panels: [
      {
        title: "Connections",
        description: "In use and idle, beside the most that may be open.",
        kind: "timeseries",
        unit: "short",
        queries: [
          {
            expr: `sum by (pool, state) (db_client_connection_count{${HERE}})`,
            legend: "{{pool}} {{state}}",
          },
          { expr: `sum by (pool) (db_client_connection_max{${HERE}})`, legend: "{{pool}} max" },
        ],
      },
      {
        title: "Utilization",
        description: "Above 80 %: TreasuryConnectionPoolNearlyFull.",
        kind: "bargauge",
        unit: "percentunit",
        queries: [{
          expr: `db_client_connection_utilization_ratio{${HERE}}`,
          legend: "{{instance}} {{pool}}",
        }],
        warnAt: 0.6,
        failAt: 0.8,
      },
      {
        title: "Waiting callers, and refused ones",
        description:
          "Callers in the queue; per second, those whose time was over or who found the queue full.",
        kind: "timeseries",
        unit: "short",
        queries: [
          {
            expr: `sum by (pool) (db_client_connection_pending_requests{${HERE}})`,
            legend: "{{pool}} waiting",
          },
          {
            expr:
              `sum by (pool) (rate(db_client_connection_timeouts_total{${HERE}}[$__rate_interval]))`,
            legend: "{{pool}} timeouts/s",
          },
          {
            expr:
              `sum by (pool) (rate(db_client_connection_rejected_total{${HERE}}[$__rate_interval]))`,
            legend: "{{pool}} queue full/s",
          },
        ],
      },
      {
        title: "Waiting and connecting (P99)",
        description: "The specification allows 10 ms to acquire a connection and 5 s to open one.",
        kind: "timeseries",
        unit: "s",
        queries: [
          {
            expr: quantile(0.99, "db_client_connection_wait_time_seconds", "pool"),
            legend: "{{pool}} wait",
          },
          {
            expr: quantile(0.99, "db_client_connection_create_time_seconds", "pool"),
            legend: "{{pool}} create",
          },
          {
            expr: quantile(0.99, "db_client_connection_use_time_seconds", "pool"),
            legend: "{{pool}} use",
          },
        ],
      },
      {
        title: "Connections closed, by reason",
        description: "Per second. Many with the reason max_idle: raise DB_MAX_IDLE_CONNECTIONS.",
        kind: "timeseries",
        unit: "short",
        stacked: true,
        queries: [{
          expr:
            `sum by (reason) (rate(db_client_connection_closed_total{${HERE}}[$__rate_interval]))`,
          legend: "{{reason}}",
        }],
      },
    ],
  },
  {
    title: "Query performance",
    panels: [
      {
        title: "Operations per second",
        description: "Queries, transactions and work on a lent connection.",
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
        description: "What callers wait for, by method and protocol.",
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
          "Above half a second the process is too busy, and its times are not the database's.",
        kind: "timeseries",
        unit: "s",
        queries: [{
          expr: quantile(0.99, "deno_event_loop_delay_seconds", "instance"),
          legend: "{{instance}}",
        }],
        failAt: 0.5,
      },
    ],
  },
  {
    title: "Errors",
    panels: [
      {
        title: "Part of the operations that fail",
        description: "Now, beside the last hour. Three times as many: TreasuryErrorRateIncreased.",
        kind: "timeseries",
        unit: "percentunit",
        queries: [
          { expr: 'treasury:database_error_ratio:rate5m{job="$job"}', legend: "5 min" },
          { expr: 'treasury:database_error_ratio:rate1h{job="$job"}', legend: "1 h" },
        ],
      },
      {
        title: "Database errors per second, by code",
        description: "The codes are those of docs/errors.md.",
        kind: "timeseries",
        unit: "short",
        stacked: true,
        queries: [{
          expr:
            `sum by (code, sqlstate_class) (rate(db_client_errors_total{${HERE}}[$__rate_interval]))`,
          legend: "{{code}} {{sqlstate_class}}",
        }],
      },
      {
        title: "RPCs per second, by code",
        description: "What callers were answered.",
        kind: "timeseries",
        unit: "reqps",
        stacked: true,
        queries: [{
          expr:
            `sum by (code) (rate(rpc_server_call_duration_seconds_count{${HERE}}[$__rate_interval]))`,
          legend: "{{code}}",
        }],
      },
      {
        title: "Schema",
        description: "The version of the schema, and whether a migration was left unfinished.",
        kind: "stat",
        unit: "short",
        queries: [
          { expr: `max(treasury_database_migration_version{${HERE}})`, legend: "version" },
          { expr: `max(treasury_database_migration_dirty{${HERE}})`, legend: "dirty" },
        ],
      },
    ],
  },
  {
    title: "Recovery",
    panels: [
      {
        title: "Access mode",
        description: "What the database allows. Read-only for a minute: TreasuryReadOnly.",
        kind: "state-timeline",
        unit: "short",
        queries: [{
          expr: `treasury_database_access_mode{${HERE},mode="read_write"}` +
            ` + ignoring(mode) (2 * treasury_database_access_mode{${HERE},mode="read_only"})`,
          legend: "{{instance}}",
        }],
        words: {
          0: { text: "unavailable", color: "red" },
          1: { text: "read-write", color: "green" },
          2: { text: "read-only", color: "orange" },
        },
      },
      {
        title: "Circuit",
        description: "Open: calls fail at once. It opens again and again: TreasuryCircuitFlapping.",
        kind: "state-timeline",
        unit: "short",
        queries: [{
          expr: `treasury_database_circuit_state{${HERE},state="open"}` +
            ` + ignoring(state) (2 * treasury_database_circuit_state{${HERE},state="half_open"})`,
          legend: "{{instance}} {{pool}}",
        }],
        words: {
          0: { text: "closed", color: "green" },
          1: { text: "open", color: "red" },
          2: { text: "half-open", color: "orange" },
        },
      },
      {
        title: "Circuit transitions",
        description: "How often each happened in the step shown, and why.",
        kind: "timeseries",
        unit: "short",
        stacked: true,
        queries: [{
          expr:
            `sum by (from, to, reason) (increase(treasury_database_circuit_transitions_total{${HERE}}[$__rate_interval]))`,
          legend: "{{from}} to {{to}}: {{reason}}",
        }],
      },
      {
        title: "Outages in the last day",
        description: "How often the database was lost, and how long it took to have it back.",
        kind: "stat",
        unit: "short",
        queries: [
          {
            expr: `sum(increase(treasury_database_outages_total{${HERE}}[1d]))`,
            legend: "outages",
          },
        ],
      },
      {
        title: "Recovery time",
        description: "The specification allows 60 seconds.",
        kind: "timeseries",
        unit: "s",
        queries: [
          {
            expr: `treasury_database_last_recovery_duration_seconds{${HERE}}`,
            legend: "{{instance}} last",
          },
          {
            expr: `treasury_database_outage_duration_seconds{${HERE}}`,
            legend: "{{instance}} going on",
          },
        ],
        failAt: 60,
      },
    ],
  },
];
