import type { Row } from "../panel.ts";
import { HERE, quantile } from "../query.ts";

/** Connections, and callers that wait for them. */
export const POOL: Row = {
  title: "Connection pool",
  panels: [
    {
      title: "Connections",
      description: "Connections in use and idle, and the maximum.",
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
      title: "Waiting and rejected callers",
      description:
        "Callers in the queue; timeouts and rejections because of a full queue, per second.",
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
      title: "Time to acquire and to open a connection (P99)",
      description: "The specification requires 10 ms to acquire a connection and 5 s to open one.",
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
