/**
 * Writes the Grafana dashboard, `deploy/grafana/dashboards/treasury.json`, from `dashboard/`.
 * Run by `deno task generate`.
 *
 * @module
 */
import { layOut } from "./dashboard/panel.ts";
import { ERRORS } from "./dashboard/views/errors.ts";
import { HEALTH } from "./dashboard/views/health.ts";
import { POOL } from "./dashboard/views/pool.ts";
import { QUERIES } from "./dashboard/views/queries.ts";
import { RECOVERY } from "./dashboard/views/recovery.ts";
import { SERVER } from "./dashboard/views/server.ts";

/** The five views of the specification, and the server. */
const ROWS = [HEALTH, POOL, QUERIES, ERRORS, RECOVERY, SERVER];

const file = new URL("../deploy/grafana/dashboards/treasury.json", import.meta.url);

const dashboard = {
  uid: "treasury-service",
  title: "Treasury Service",
  tags: ["treasury"],
  schemaVersion: 39,
  timezone: "browser",
  // Shared crosshair in all panels.
  graphTooltip: 1,
  refresh: "15s",
  time: { from: "now-1h", to: "now" },
  // One line for each restart of the service.
  annotations: {
    list: [{
      name: "Restarts",
      enable: true,
      datasource: { type: "prometheus", uid: "${datasource}" },
      target: {
        refId: "Anno",
        expr: 'changes(process_start_time_seconds{job="$job",instance=~"$instance"}[1m]) > 0',
      },
      titleFormat: "{{instance}} restarted",
      iconColor: "blue",
    }],
  },
  templating: {
    list: [
      { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" },
      variable("job", "Job", "label_values(treasury_build_info, job)"),
      variable(
        "instance",
        "Instance",
        'label_values(treasury_build_info{job="$job"}, instance)',
        true,
      ),
    ],
  },
  panels: layOut(ROWS),
};

await Deno.writeTextFile(file, `${JSON.stringify(dashboard, undefined, 2)}\n`);

function variable(name: string, label: string, query: string, hasMany = false): object {
  return {
    name,
    label,
    type: "query",
    datasource: { type: "prometheus", uid: "${datasource}" },
    query: { query, refId: name },
    refresh: 2,
    ...(hasMany && { multi: true, includeAll: true, current: { text: "All", value: "$__all" } }),
  };
}
