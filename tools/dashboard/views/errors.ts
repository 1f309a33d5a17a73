import type { Row } from "../panel.ts";
import { HERE } from "../query.ts";

/** Errors and their causes. */
export const ERRORS: Row = {
  title: "Errors",
  panels: [
    {
      title: "Ratio of failed operations",
      description:
        "Last 5 minutes and last hour. Three times the hour: TreasuryErrorRateIncreased.",
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
      description: "Results that callers received.",
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
      description: "Version of the schema, and whether it is dirty.",
      kind: "stat",
      unit: "short",
      queries: [
        { expr: `max(treasury_database_migration_version{${HERE}})`, legend: "version" },
        { expr: `max(treasury_database_migration_dirty{${HERE}})`, legend: "dirty" },
      ],
    },
  ],
};
