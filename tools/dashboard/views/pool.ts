import type { Row } from "../panel.ts";
import { HERE, quantile } from "../query.ts";

/** Connections, and who waits for them. */
export const POOL: Row = {
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
      max: 1,
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
};
