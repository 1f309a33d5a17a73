import type { Client } from "@connectrpc/connect";
import {
  Freshness,
  type GetHealthResponse,
  type Health,
  type HealthEvent,
} from "../gen/treasury/v1/health_pb.ts";

/** Whether what is shown is the present. */
export type Link = "connecting" | "live" | "lost";

/** What {@linkcode followHealth} needs, and whom it tells. */
export interface FollowHealthOptions {
  readonly client: Client<typeof Health>;
  /** A page that nobody sees asks for few samples, and for no checks. */
  readonly isVisible: () => boolean;
  readonly onHealth: (health: GetHealthResponse) => void;
  /** All that is known, oldest first. */
  readonly onEvents: (events: readonly HealthEvent[]) => void;
  readonly onLink: (link: Link) => void;
}

/** Between two samples for the charts. Callers that ask at the same time share one check. */
const SAMPLE_INTERVAL_MS = 2_000;
/** The same in the background, where the title of the tab must not become a lie. */
const HIDDEN_SAMPLE_INTERVAL_MS = 30_000;
/** Longer than a check of a frozen dependency takes by default. */
const SAMPLE_TIMEOUT_MS = 10_000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 5_000;

/**
 * Watches the service's health for ever: changes come over a stream at once, samples are asked for
 * in between. A sample that fails is how a dead stream is noticed. Never rejects.
 */
export async function followHealth(options: FollowHealthOptions): Promise<never> {
  let retryMs = FIRST_RETRY_MS;
  const onNews = () => {
    retryMs = FIRST_RETRY_MS;
    options.onLink("live");
  };
  for (;;) {
    const attempt = new AbortController();
    const parts = [watch(options, onNews, attempt.signal), sample(options, attempt.signal)];
    await Promise.race(parts).catch(() => {});
    attempt.abort();
    await Promise.allSettled(parts);
    options.onLink("lost");
    await pause(retryMs * (0.5 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
  }
}

async function watch(
  { client, onHealth, onEvents }: FollowHealthOptions,
  onNews: () => void,
  signal: AbortSignal,
): Promise<void> {
  for await (const { health, recentEvents } of client.watchHealth({}, { signal })) {
    onNews();
    if (health !== undefined) onHealth(health);
    if (recentEvents.length > 0) onEvents(recentEvents);
  }
}

async function sample(
  { client, isVisible, onHealth }: FollowHealthOptions,
  signal: AbortSignal,
): Promise<void> {
  let sampledAt = performance.now();
  for (;;) {
    await pause(SAMPLE_INTERVAL_MS);
    if (signal.aborted) return;
    const isSeen = isVisible();
    if (!isSeen && performance.now() - sampledAt < HIDDEN_SAMPLE_INTERVAL_MS) continue;
    sampledAt = performance.now();
    const freshness = isSeen ? Freshness.FRESH : Freshness.CACHED;
    onHealth(await client.getHealth({ freshness }, { signal, timeoutMs: SAMPLE_TIMEOUT_MS }));
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
