import type { Row } from "../panel.ts";
import { HERE } from "../query.ts";

/** Load of the port, and refused calls. */
export const SERVER: Row = {
  title: "Server",
  panels: [
    {
      title: "Calls in progress",
      description: "Until their answers have been sent. Maximum: SERVER_MAX_CONCURRENT_CALLS, " +
        "plus a few probes.",
      kind: "timeseries",
      unit: "short",
      queries: [{ expr: `treasury_server_calls{${HERE}}`, legend: "{{instance}}" }],
    },
    {
      title: "RPCs in progress, by method",
      description: "Including open streams.",
      kind: "timeseries",
      unit: "short",
      stacked: true,
      queries: [{
        expr: `sum by (method) (rpc_server_active_calls{${HERE}})`,
        legend: "{{method}}",
      }],
    },
    {
      title: "Refused and abandoned calls per second",
      description: "Refused: the limit was reached; for five minutes: TreasuryServerSaturated. " +
        "Abandoned: the client did not read its answer.",
      kind: "timeseries",
      unit: "reqps",
      queries: [
        {
          expr: `rate(treasury_server_refused_calls_total{${HERE}}[$__rate_interval])`,
          legend: "{{instance}} refused",
        },
        {
          expr: `rate(treasury_server_stalled_calls_total{${HERE}}[$__rate_interval])`,
          legend: "{{instance}} abandoned",
        },
      ],
    },
    {
      title: "Client connections",
      description: "Maximum: SERVER_MAX_CONNECTIONS, plus a few short ones for probes.",
      kind: "timeseries",
      unit: "short",
      queries: [{ expr: `treasury_server_connections{${HERE}}`, legend: "{{instance}}" }],
    },
  ],
};
