import assert from "node:assert/strict";
import { Registry } from "prom-client";
import { DurationHistogram } from "../../../../src/telemetry/metrics/duration_histogram.ts";
import { parseMetrics, valueOf } from "../../../support/prometheus_text.ts";

function startHistogram() {
  const registry = new Registry();
  const histogram = new DurationHistogram({
    name: "call_duration_seconds",
    help: "Duration of calls.",
    labels: ["operation", "outcome"],
    buckets: [0.01, 1],
    registry,
  });
  const read = async (name: string, labels: Record<string, string>) =>
    valueOf(parseMetrics(await registry.metrics()), `call_duration_seconds_${name}`, labels);
  return { registry, histogram, read };
}

Deno.test("a duration on a bound belongs to the bucket below it", async () => {
  const { histogram, read } = startHistogram();
  const labels = { operation: "query", outcome: "success" };
  const durations = histogram.child("query", "success");
  for (const durationMs of [0, 10, 10.01, 1000, 1000.5]) durations.observe(durationMs);
  assert.equal(await read("bucket", { ...labels, le: "0.01" }), 2);
  assert.equal(await read("bucket", { ...labels, le: "1.0" }), 4);
  assert.equal(await read("bucket", { ...labels, le: "+Inf" }), 5);
  assert.equal(await read("count", labels), 5);
  assert.equal(await read("sum", labels), 2.02051);
});

Deno.test("the same labels are the same durations, others are not", async () => {
  const { histogram, read } = startHistogram();
  histogram.child("query", "success").observe(1);
  histogram.child("query", "success").observe(1);
  histogram.child("query", "error").observe(1);
  assert.equal(await read("count", { operation: "query", outcome: "success" }), 2);
  assert.equal(await read("count", { operation: "query", outcome: "error" }), 1);
});

Deno.test("durations are 0 before the first, so that the first is an increase", async () => {
  const { histogram, read } = startHistogram();
  histogram.child("query", "success");
  assert.equal(await read("count", { operation: "query", outcome: "success" }), 0);
});
