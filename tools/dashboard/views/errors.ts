import type { Row } from "../panel.ts";
import { HERE } from "../query.ts";

/** What fails, and why. */
export const ERRORS: Row = {
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
};
