import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { eventually } from "../support/condition.ts";
import { getHealth } from "../support/health_client.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { prometheusTest, RULES, startPrometheus } from "../support/prometheus.ts";
import { type Scrape, scrape } from "../support/scrape.ts";
import { databaseEnv, ROOT, type ServiceUnderTest, startService } from "../support/service.ts";

interface Expression {
  readonly where: string;
  readonly expr: string;
}

/** Every expression of the dashboard, with Grafana's variables filled in. */
async function dashboardExpressions(): Promise<Expression[]> {
  const file = join(ROOT, "deploy/grafana/dashboards/treasury.json");
  const { panels, annotations } = JSON.parse(await Deno.readTextFile(file));
  const ofPanels = panels.flatMap(({ title, targets = [] }: Panel) =>
    targets.map(({ expr }) => ({ where: title, expr }))
  );
  return [
    ...ofPanels,
    ...annotations.list.map(({ name, target }: Annotation) => ({
      where: name,
      expr: target.expr,
    })),
  ].map(({ where, expr }: Expression) => ({
    where,
    expr: expr.replaceAll("$job", "treasury-service").replaceAll("$instance", ".*")
      .replaceAll("$__rate_interval", "1m"),
  }));
}

interface Annotation {
  readonly name: string;
  readonly target: { readonly expr: string };
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

async function ruleExpressions(): Promise<Expression[]> {
  const expressions: Expression[] = [];
  for (const file of ["alerts.yml", "recording_rules.yml"]) {
    const { groups } = parse(await Deno.readTextFile(join(RULES, file)));
    for (const { rules } of groups) {
      for (const { alert, record, expr } of rules) {
        expressions.push({ where: alert ?? record, expr });
      }
    }
  }
  return expressions;
}

/** Metrics that an expression uses, each with the labels that it is selected by. */
function metricsOf(expr: string): { name: string; labels: readonly string[] }[] {
  const uses = expr.matchAll(
    /\b((?:treasury|db_client|rpc_server|process|deno)_\w+)(?:\{([^}]*)\})?/g,
  );
  return Array.from(uses, ([, name = "", matchers = ""]) => ({
    name,
    labels: Array.from(matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g), ([, label = ""]) => label),
  }));
}

/** Labels that an expression groups or matches by. */
function groupingOf(expr: string): string[] {
  const lists = expr.matchAll(/\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g);
  return Array.from(lists, ([, list = ""]) => list.split(",").map((label) => label.trim())).flat();
}

/** Prometheus adds them. */
const TARGET_LABELS = ["job", "instance"];

/** Labels of a metric as the service exports it; undefined when it does not. */
function exportedLabels({ families }: Scrape, name: string): Set<string> | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ""));
  if (family === undefined) return undefined;
  return new Set(family.samples.flatMap(({ labels }) => Object.keys(labels)));
}

prometheusTest(
  "dashboards and alerts use what the service exports, and Prometheus understands it",
  "prometheus",
  async (path) => {
    await using postgres = await startPostgres();
    await using service = await startService({ env: databaseEnv(postgres) });
    await using prometheus = await startPrometheus(path, new URL(service.url).host);

    await sufferOutage(postgres, service);
    await getHealth(service.url);

    const exported = await scrape(service.url);
    const expressions = [...await dashboardExpressions(), ...await ruleExpressions()];
    assert.ok(expressions.length > 35);
    for (const { where, expr } of expressions) {
      await prometheus.query(expr);
      const known = new Set(TARGET_LABELS);
      for (const { name, labels } of metricsOf(expr)) {
        const has = exportedLabels(exported, name);
        assert.ok(has !== undefined, `${where}: the service exports no ${name}`);
        has.forEach((label) => known.add(label));
        for (const label of labels) {
          assert.ok(has.has(label) || TARGET_LABELS.includes(label), `${where}: ${name}{${label}}`);
        }
      }
      if (metricsOf(expr).length === 0) continue;
      for (const label of groupingOf(expr)) assert.ok(known.has(label), `${where}: by ${label}`);
    }
  },
);

prometheusTest("dashboards: no panel is empty on a service at work", "prometheus", async (path) => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  await using prometheus = await startPrometheus(path, new URL(service.url).host);
  await sufferOutage(postgres, service);
  // It is not started again here, and does no TLS.
  const withoutData = ["Restarts", "Certificates expire in"];
  const expressions = (await dashboardExpressions())
    .filter(({ where }) => !withoutData.includes(where));
  const empty = new Set(expressions.map(({ where }) => where));
  await eventually(async () => {
    await getHealth(service.url);
    for (const { where, expr } of expressions) {
      if (empty.has(where) && (await prometheus.query(expr)).length > 0) empty.delete(where);
    }
    assert.deepEqual([...empty], []);
    return true;
  }, { what: "every panel has data", timeoutMs: 60_000 });
});

/** Errors and transitions are series only after the first one. */
async function sufferOutage(postgres: TestPostgres, service: ServiceUnderTest): Promise<void> {
  await service.logged("database.connected");
  await postgres.stop();
  await service.logged("database.lost");
  await postgres.start();
  await service.logged("database.recovered");
}
