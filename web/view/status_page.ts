/// <reference lib="dom" />
import type {
  GetHealthResponse,
  HealthEvent,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import type { Link } from "../follow_health.ts";
import { DependencyCard } from "./dependency_card.ts";
import { byId, say } from "./elements.ts";
import { Timeline } from "./timeline.ts";
import { duration, moment, statusWords } from "./words.ts";

/** The whole page: the last known health, and its age. */
export class StatusPage {
  readonly #document: Document;
  readonly #timeline: Timeline;
  readonly #cards = new Map<string, DependencyCard>();
  #health: GetHealthResponse | undefined;
  /**
   * When the last health arrived, by the clock of the browser, which may differ from the service's.
   */
  #receivedAt = new Date();
  #link: Link = "connecting";
  /** Events of the service as a whole, oldest first. */
  #events: readonly HealthEvent[] = [];

  constructor(document: Document) {
    this.#document = document;
    this.#timeline = new Timeline(document);
  }

  showHealth(health: GetHealthResponse): void {
    this.#health = health;
    this.#receivedAt = new Date();
    const { key, symbol, word } = statusWords(health.status);
    const { body } = this.#document;
    body.dataset.status = key;
    say(body.querySelector<HTMLElement>(".overall .symbol")!, symbol);
    this.#say("overall-word", word);
    this.#say("overall-message", health.message);
    this.#say("version", `Version ${health.version}`);
    for (const dependency of health.dependencies) {
      this.#card(dependency.name).show(dependency, this.#receivedAt);
    }
    this.#forgetAllBut(new Set(health.dependencies.map(({ name }) => name)));
    this.tick();
  }

  showEvents(events: readonly HealthEvent[]): void {
    this.#timeline.show(events);
    this.#events = events.filter(({ dependency }) => dependency === "");
    this.tick();
  }

  showLink(link: Link): void {
    this.#link = link;
    this.tick();
  }

  /** Updates ages. */
  tick(): void {
    const ageMs = Date.now() - this.#receivedAt.getTime();
    const isStale = this.#link === "lost";
    this.#document.body.dataset.stale = String(isStale);
    byId(this.#document, "link").dataset.link = this.#link;
    if (this.#link === "live") this.#say("link", "Live");
    if (isStale) this.#say("link", "Service unreachable, retrying");
    if (this.#health === undefined) return;
    const { uptimeSeconds, checkDurationMs, status } = this.#health;
    const { symbol, word } = statusWords(status);
    this.#document.title = `${isStale ? "?" : symbol} ${isStale ? "Unreachable" : word} – Treasury`;
    this.#say("since", sinceWhen(status, this.#events));
    this.#say("uptime", `· up ${duration(uptimeSeconds * 1000 + ageMs)}`);
    this.#say(
      "checked",
      isStale
        ? `Stale: last response ${duration(ageMs)} ago.`
        : `Checked ${ago(ageMs)} in ${duration(checkDurationMs)}.`,
    );
  }

  #say(id: string, text: string): void {
    say(byId(this.#document, id), text);
  }

  #card(name: string): DependencyCard {
    const known = this.#cards.get(name);
    if (known !== undefined) return known;
    const template = byId(this.#document, "dependency") as HTMLTemplateElement;
    const card = new DependencyCard(template);
    this.#cards.set(name, card);
    byId(this.#document, "dependencies").append(card.root);
    return card;
  }

  /** After a restart, the service may have other dependencies. */
  #forgetAllBut(names: ReadonlySet<string>): void {
    for (const [name, card] of this.#cards) {
      if (names.has(name)) continue;
      card.remove();
      this.#cards.delete(name);
    }
  }
}

function ago(ageMs: number): string {
  return ageMs < 2000 ? "just now" : `${duration(ageMs)} ago`;
}

/** Empty until the event that started this status has arrived. */
function sinceWhen(now: ServiceStatus, events: readonly HealthEvent[]): string {
  const before = events.findLastIndex(({ status }) => status !== now);
  const first = events[before + 1];
  if (first === undefined) return "";
  return `${statusWords(now).word} since ${moment(first.time)}.`;
}
