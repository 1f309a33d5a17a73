import { Registry } from "prom-client";

/** Metrics in a text format, and its content type. */
export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/**
 * Renders all metrics in the format that the client prefers: OpenMetrics 1.0 or, by default, the
 * Prometheus text format.
 *
 * @param registries Where a metric is in more than one, their labels must tell its series apart.
 * @param accept The Accept header (RFC 9110, section 12.5.1).
 */
export async function expose(
  registries: readonly Registry[],
  accept: string | null,
): Promise<Exposition> {
  const text = merge(await Promise.all(registries.map((registry) => registry.metrics())));
  return prefersOpenMetrics(accept ?? "")
    ? { contentType: Registry.OPENMETRICS_CONTENT_TYPE, text: toOpenMetrics(text) }
    : { contentType: Registry.PROMETHEUS_CONTENT_TYPE, text };
}

/**
 * Groups the series of each metric, as the format requires. Not `Registry.merge`, which keeps a
 * metric of one registry only.
 */
function merge(texts: readonly string[]): string {
  const families = new Map<string, string>();
  for (const family of texts.flatMap((text) => text.trimEnd().split("\n\n"))) {
    const [, name = "", series] = /^# HELP (\S+) .*\n# TYPE .*(\n[^]*)?$/.exec(family) ?? [];
    const known = families.get(name);
    families.set(name, known === undefined ? family : known + (series ?? ""));
  }
  return `${[...families.values()].join("\n\n")}\n`;
}

/**
 * Converts the Prometheus text format to OpenMetrics: counters are declared without `_total`, there
 * are no empty lines, and the end is marked. prom-client can also write OpenMetrics, but then
 * permanently renames its counters, so that a registry cannot serve both formats.
 *
 * Source: OpenMetrics 1.0, "Text Format".
 */
function toOpenMetrics(text: string): string {
  const lines = text.split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/^(# (?:HELP|TYPE) \w+)_total /, "$1 "));
  return [...lines, "# EOF", ""].join("\n");
}

function prefersOpenMetrics(accept: string): boolean {
  let openMetrics = 0;
  let text = 0;
  for (const range of accept.toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const { q = "1", version = "1.0.0" } = Object.fromEntries(
      parameters.map((parameter) => parameter.split("=", 2)),
    );
    if (type === "application/openmetrics-text") {
      if (version === "1.0.0") openMetrics = Math.max(openMetrics, Number(q));
    } else if (type === "text/plain") {
      text = Math.max(text, Number(q));
    }
  }
  return openMetrics > 0 && openMetrics >= text;
}
