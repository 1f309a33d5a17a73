/// <reference lib="dom" />
import type { HealthEvent } from "../../gen/treasury/v1/health_pb.ts";
import { byId, element, say } from "./elements.ts";
import { accessWord, circuitWord, duration, moment, statusWords } from "./words.ts";

/** Recent changes, newest first, and the duration of outages. */
export class Timeline {
  readonly #document: Document;

  constructor(document: Document) {
    this.#document = document;
  }

  /** @param events Oldest first. */
  show(events: readonly HealthEvent[]): void {
    const last = new Map<string, HealthEvent>();
    const items = events.map((event) => {
      const previous = last.get(event.dependency);
      last.set(event.dependency, event);
      return this.#item(event, previous);
    });
    byId(this.#document, "events").replaceChildren(...items.reverse());
    say(byId(this.#document, "outages"), describeOutages(events));
  }

  #item(event: HealthEvent, previous: HealthEvent | undefined): HTMLElement {
    const { key, symbol } = statusWords(event.status);
    const mark = element(this.#document, "span", symbol, "symbol");
    mark.setAttribute("aria-hidden", "true");
    const time = element(this.#document, "time", moment(event.time));
    time.setAttribute("datetime", event.time);
    const what = element(this.#document, "strong", event.dependency || "The service");
    const news = element(this.#document, "span", `: ${describe(event, previous)}`);
    const when = element(this.#document, "div", [time], "quiet");
    const item = element(this.#document, "li", [mark, when, what, news]);
    item.dataset.status = key;
    return item;
  }
}

/** Describes what changed in `event`. */
function describe(event: HealthEvent, previous: HealthEvent | undefined): string {
  const steps = [
    step("", event, previous, ({ status }) => statusWords(status).word.toLowerCase()),
    step("access ", event, previous, (one) => accessWord(one.accessMode)),
    step("circuit ", event, previous, (one) => circuitWord(one.circuitState)),
  ];
  const outage = event.outageMs === undefined ? "" : `back after ${duration(event.outageMs)}`;
  const code = event.errorCode === undefined
    ? event.message
    : `${event.message} (${event.errorCode})`;
  return [...steps, outage, code].filter((part) => part).join("; ");
}

function step(
  name: string,
  event: HealthEvent,
  previous: HealthEvent | undefined,
  read: (event: HealthEvent) => string | undefined,
): string {
  const after = read(event);
  const before = previous && read(previous);
  if (after === undefined || after === before) return "";
  return before === undefined ? `${name}${after}` : `${name}${before} → ${after}`;
}

function describeOutages(events: readonly HealthEvent[]): string {
  const outages = events
    .filter(({ dependency }) => dependency === "")
    .flatMap(({ outageMs }) => outageMs === undefined ? [] : [outageMs]);
  const last = outages.at(-1);
  if (last === undefined) return "No completed outage since the service started.";
  const longest = duration(Math.max(...outages));
  return outages.length === 1
    ? `One recent outage, recovered after ${duration(last)}.`
    : `${outages.length} recent outages: the last took ${duration(last)}, the longest ${longest}.`;
}
