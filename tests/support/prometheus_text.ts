import assert from "node:assert/strict";

/** One line with a value. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is declared together. */
export interface MetricFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: MetricSample[];
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y;
const NUMBER = /^(?:[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf)$/;

/** Name endings of the samples of a family, by its type. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};

/**
 * Parses the text formats of metrics, more strictly than Prometheus does: every sample belongs to
 * the family that was declared last, no family and no series is twice, every number is one, and
 * histograms add up.
 *
 * @param format OpenMetrics declares counters without `_total`, and marks the end.
 * @throws {AssertionError} Shows the line.
 */
export function parseMetrics(
  text: string,
  format: "prometheus" | "openmetrics" = "prometheus",
): ReadonlyMap<string, MetricFamily> {
  const families = new Map<string, MetricFamily>();
  const series = new Set<string>();
  const isOpenMetrics = format === "openmetrics";
  assert(text.endsWith(isOpenMetrics ? "\n# EOF\n" : "\n"), "the end of the text");
  const body = isOpenMetrics ? text.slice(0, -"# EOF\n".length) : text;
  const lines = body.slice(0, -1).split("\n");
  let help: readonly [name: string, text: string] | undefined;
  let family: MetricFamily | undefined;
  for (const line of lines) {
    if (line === "") {
      assert(!isOpenMetrics, "OpenMetrics has no empty lines");
      continue;
    }
    const [, keyword, declared = "", rest = ""] = /^# (\w+) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      help = [declared, rest];
      continue;
    }
    if (keyword === "TYPE") {
      assert.equal(help?.[0], declared, `${line} without its HELP`);
      assert(rest in SUFFIXES, line);
      const name = isOpenMetrics && rest === "counter" ? `${declared}_total` : declared;
      assert(!families.has(name), `${line} is twice`);
      family = { name, type: rest, help: help![1], samples: [] };
      families.set(name, family);
      continue;
    }
    const sample = parseSample(line);
    assert(family !== undefined, `${line} before any TYPE`);
    const names = SUFFIXES[family.type]!.map((suffix) => family!.name + suffix);
    assert(names.includes(sample.name), `${line} in the family ${family.name}`);
    const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    assert(!series.has(key), `${line} is twice`);
    series.add(key);
    family.samples.push(sample);
  }
  for (const one of families.values()) if (one.type === "histogram") assertHistogram(one);
  return families;
}

/** The value of one series; undefined when there is none. All labels count. */
export function valueOf(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const base = families.has(name) ? name : name.replace(/_(bucket|sum|count)$/, "");
  const wanted = JSON.stringify(Object.entries(labels).sort());
  return families.get(base)?.samples.find((sample) =>
    sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted
  )?.value;
}

function parseSample(line: string): MetricSample {
  const [, name = "", labelText = "", number = ""] = SAMPLE.exec(line) ?? [];
  assert(name !== "", `no sample: ${line}`);
  assert(NUMBER.test(number), `no number: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, label = "", value = ""] = LABEL.exec(labelText) ?? [];
    assert(label !== "" && !(label in labels), `labels: ${line}`);
    labels[label] = value;
  }
  return { name, labels, value: number === "+Inf" ? Infinity : Number(number) };
}

/** Buckets ascend, the last is `+Inf`, and it is the count. */
function assertHistogram({ name, samples }: MetricFamily): void {
  const groups = Map.groupBy(samples, ({ labels: { le: _, ...others } }) => JSON.stringify(others));
  for (const [labels, group] of groups) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels: { le } }) => le === "+Inf" ? Infinity : Number(le));
    assert.deepEqual(bounds, bounds.toSorted((a, b) => a - b), `bounds of ${name}${labels}`);
    assert.equal(bounds.at(-1), Infinity, `${name}${labels}`);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(counts, counts.toSorted((a, b) => a - b), `counts of ${name}${labels}`);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    assert.equal(counts.at(-1), count, `${name}${labels}`);
    assert(group.some((sample) => sample.name === `${name}_sum`), `${name}${labels}`);
  }
}
