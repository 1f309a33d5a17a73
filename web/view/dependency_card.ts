/// <reference lib="dom" />
import type { DependencyHealth } from "../../gen/treasury/v1/health_pb.ts";
import { Samples } from "../samples.ts";
import { element, field, say } from "./elements.ts";
import { PoolGauge } from "./pool_gauge.ts";
import { TimeChart } from "./time_chart.ts";
import { accessWord, circuitWord, duration, statusWords } from "./words.ts";

/** The card of one dependency: status, address, facts and charts. */
export class DependencyCard {
  readonly root: HTMLElement;
  readonly #samples = new Samples();
  readonly #pool: PoolGauge;
  readonly #latency: TimeChart;
  #lastCheck = "";

  /** @param template Cloned to create the card. */
  constructor(template: HTMLTemplateElement) {
    const copy = template.content.cloneNode(true) as DocumentFragment;
    this.root = copy.firstElementChild as HTMLElement;
    this.#pool = new PoolGauge(field(this.root, "pool"));
    this.#latency = new TimeChart(field(this.root, "latency-chart"), {
      lines: [{ field: "latencyMs", label: "Latency", color: "--accent" }],
      heightPx: 64,
      hasAxes: false,
      leastMax: 10,
    });
  }

  /** Must be called when the card is in the page, which the charts measure. */
  show(dependency: DependencyHealth, now: Date): void {
    const { name, status, message, error, errorCode, responseTimeMs, lastCheck } = dependency;
    // A heartbeat repeats the last check, which is not a new sample.
    if (lastCheck !== this.#lastCheck) this.#samples.add(dependency, now);
    this.#lastCheck = lastCheck;

    const { key, symbol, word } = statusWords(status);
    this.root.dataset.status = key;
    this.root.dataset.name = name;
    this.#say("symbol", symbol);
    this.#say("name", name);
    this.#say("word", word);
    this.#say("message", message);
    this.#say("error", error === undefined ? "" : `${error} (${errorCode})`);
    this.#showFacts(dependency);

    const pool = dependency.config?.poolInfo;
    field(this.root, "pool").hidden = pool === undefined;
    if (pool !== undefined) this.#pool.show(pool, this.#samples);
    this.#latency.show(this.#samples, `The last check took ${duration(responseTimeMs)}`);
  }

  /** Called when the service no longer has the dependency. */
  remove(): void {
    this.root.remove();
    this.#pool.remove();
    this.#latency.remove();
  }

  #say(name: string, text: string): void {
    say(field(this.root, name), text);
  }

  #showFacts(dependency: DependencyHealth): void {
    const document = this.root.ownerDocument;
    const nodes = facts(dependency).flatMap(([term, value]) => [
      element(document, "dt", term),
      element(document, "dd", value),
    ]);
    field(this.root, "facts").replaceChildren(...nodes);
  }
}

type Fact = readonly [term: string, value: string];

function facts(dependency: DependencyHealth): Fact[] {
  const { config, accessMode, circuitState, isCritical, responseTimeMs } = dependency;
  const rows: readonly (readonly [term: string, value: string | undefined])[] = [
    ["Address", `${config?.hostname}:${config?.port} (${config?.protocol})`],
    ["Database", config?.databaseName],
    ["Schema", config?.schemaName],
    ["Critical", isCritical ? "yes" : "no"],
    ["Access", accessWord(accessMode)],
    ["Circuit", circuitWord(circuitState)],
    ["Latency", duration(responseTimeMs)],
  ];
  return rows.filter((row): row is Fact => row[1] !== undefined);
}
