import assert from "node:assert/strict";
import { type MetricFamily, parseMetrics, valueOf } from "./prometheus_text.ts";

/** What a service said of itself at one moment. */
export class Scrape {
  readonly text: string;
  readonly families: ReadonlyMap<string, MetricFamily>;

  constructor(text: string) {
    this.text = text;
    this.families = parseMetrics(text);
  }

  /** The value of one series, 0 when there is none. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return valueOf(this.families, name, labels) ?? 0;
  }

  /** How many series there are. */
  get size(): number {
    return [...this.families.values()].reduce((sum, { samples }) => sum + samples.length, 0);
  }
}

/** Reads the metrics of a running service, as Prometheus text. */
export async function scrape(url: string): Promise<Scrape> {
  const response = await fetch(new URL("/metrics", url));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return new Scrape(await response.text());
}
