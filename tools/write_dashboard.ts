/**
 * Writes the Grafana dashboard, `deploy/grafana/dashboards/treasury.json`, from `dashboard/`.
 * Run by `deno task generate`.
 *
 * @module
 */
import { layOut } from "./dashboard/panel.ts";
import { ROWS } from "./dashboard/treasury.ts";

const file = new URL("../deploy/grafana/dashboards/treasury.json", import.meta.url);

const dashboard = {
  uid: "treasury-service",
  title: "Treasury Service",
  tags: ["treasury"],
  schemaVersion: 39,
  timezone: "browser",
  refresh: "15s",
  time: { from: "now-1h", to: "now" },
  // One line for each restart of the service.
  annotations: {
    list: [{
      name: "Restarts",
      enable: true,
      datasource: { type: "prometheus", uid: "${datasource}" },
      expr: 'changes(process_start_time_seconds{job="$job",instance=~"$instance"}[1m]) > 0',
      titleFormat: "{{instance}} was started again",
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
