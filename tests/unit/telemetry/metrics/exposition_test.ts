import assert from "node:assert/strict";
import { Counter, Registry } from "prom-client";
import { expose } from "../../../../src/telemetry/metrics/exposition.ts";
import { parseMetrics, valueOf } from "../../../support/prometheus_text.ts";

const preferences: readonly (readonly [accept: string | null, format: string])[] = [
  [null, "text/plain"],
  ["", "text/plain"],
  ["*/*", "text/plain"],
  ["text/html,application/xhtml+xml,*/*;q=0.8", "text/plain"],
  ["application/openmetrics-text", "application/openmetrics-text"],
  ["Application/OpenMetrics-Text; Version=1.0.0; Q=0.5", "application/openmetrics-text"],
  [
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3",
    "application/openmetrics-text",
  ],
  ["application/openmetrics-text;q=0.3,text/plain;q=0.5", "text/plain"],
  ["application/openmetrics-text;q=0", "text/plain"],
  ["application/openmetrics-text;version=0.0.1", "text/plain"],
  [";;q=,=,application/openmetrics-text;q=x", "text/plain"],
];

for (const [accept, format] of preferences) {
  Deno.test(`Accept ${accept} gets ${format}`, async () => {
    const { contentType } = await expose([new Registry()], accept);
    assert.equal(contentType.split(";")[0], format);
  });
}

Deno.test("both formats can be asked for in turns", async () => {
  const registry = new Registry();
  const counter = new Counter({
    name: "calls_total",
    help: "Calls.",
    labelNames: ["path"],
    registers: [registry],
  });
  const labels = { path: '# TYPE calls_total \\ "quoted"\nnext line' };
  counter.inc(labels, 3);
  const written = { path: labels.path.replaceAll(/[\\"]/g, "\\$&").replaceAll("\n", "\\n") };
  for (const format of ["openmetrics", "prometheus", "openmetrics", "prometheus"] as const) {
    const accept = format === "openmetrics" ? "application/openmetrics-text" : null;
    const { text } = await expose([registry], accept);
    assert.equal(valueOf(parseMetrics(text, format), "calls_total", written), 3);
  }
});

Deno.test("a metric of two registries is declared once, with the series of both", async () => {
  const registries = ["", "ledger"].map((database) => {
    const registry = new Registry();
    if (database !== "") registry.setDefaultLabels({ database });
    const counter = new Counter({ name: "calls_total", help: "Calls.", registers: [registry] });
    counter.inc(database.length);
    return registry;
  });
  new Counter({ name: "own_total", help: "Of one.", registers: registries.slice(1) }).inc();
  const { text } = await expose(registries, null);
  assert.equal(
    text,
    `# HELP calls_total Calls.
# TYPE calls_total counter
calls_total 0
calls_total{database="ledger"} 6

# HELP own_total Of one.
# TYPE own_total counter
own_total{database="ledger"} 1
`,
  );
});
