import type { Row } from "../panel.ts";
import { HERE } from "../query.ts";

/** What clients ask of the port, and how much of it there is no room for. */
export const SERVER: Row = {
  title: "Server",
  panels: [
    {
      title: "Calls in progress",
      description: "Until their answers have been sent. At most SERVER_MAX_CONCURRENT_CALLS, " +
        "and a few probes.",
      kind: "timeseries",
      unit: "short",
      queries: [{ expr: `treasury_server_calls{${HERE}}`, legend: "{{instance}}" }],
    },
    {
      title: "RPCs that are running, by method",
      description: "Streams are among them for as long as they are open.",
      kind: "timeseries",
      unit: "short",
      stacked: true,
      queries: [{
        expr: `sum by (method) (rpc_server_active_calls{${HERE}})`,
        legend: "{{method}}",
      }],
    },
    {
      title: "Calls per second that were not served",
      description: "Turned away: there was no room; for five minutes: TreasuryServerSaturated. " +
        "Given up: the client did not take its answer.",
      kind: "timeseries",
      unit: "reqps",
      queries: [
        {
          expr: `rate(treasury_server_refused_calls_total{${HERE}}[$__rate_interval])`,
          legend: "{{instance}} turned away",
        },
        {
          expr: `rate(treasury_server_stalled_calls_total{${HERE}}[$__rate_interval])`,
          legend: "{{instance}} given up",
        },
      ],
    },
    {
      title: "Client connections",
      description: "At most SERVER_MAX_CONNECTIONS, and for moments a few for probes.",
      kind: "timeseries",
      unit: "short",
      queries: [{ expr: `treasury_server_connections{${HERE}}`, legend: "{{instance}}" }],
    },
  ],
};
