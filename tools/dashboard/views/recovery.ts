import type { Row } from "../panel.ts";
import { HERE } from "../query.ts";

/** Outages and recoveries. */
export const RECOVERY: Row = {
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
      description: "Open: calls fail immediately. Opens repeatedly: TreasuryCircuitFlapping.",
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
      description: "Number of transitions per step, by reason.",
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
      description: "Number of outages, and the time to recover.",
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
      description: "The specification requires 60 seconds.",
      kind: "timeseries",
      unit: "s",
      queries: [
        {
          expr: `treasury_database_last_recovery_duration_seconds{${HERE}}`,
          legend: "{{instance}} last",
        },
        {
          expr: `treasury_database_outage_duration_seconds{${HERE}}`,
          legend: "{{instance}} current",
        },
      ],
      failAt: 60,
    },
  ],
};
