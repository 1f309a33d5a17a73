import type { Client } from "@connectrpc/connect";
import {
  Freshness,
  type GetHealthResponse,
  type Health,
  type HealthEvent,
} from "../gen/treasury/v1/health_pb.ts";

/** Whether the shown health is current. */
export type Link = "connecting" | "live" | "lost";

/** Client and callbacks of {@linkcode followHealth}. */
export interface FollowHealthOptions {
  readonly client: Client<typeof Health>;
  /** A hidden page requests few samples, without checks. */
  readonly isVisible: () => boolean;
  readonly onHealth: (health: GetHealthResponse) => void;
  /** All known events, oldest first. */
  readonly onEvents: (events: readonly HealthEvent[]) => void;
  readonly onLink: (link: Link) => void;
}

/** Interval of samples for the charts. Concurrent requests share one check. */
const SAMPLE_INTERVAL_MS = 2_000;
/** The same in the background, where the title of the tab must stay current. */
const HIDDEN_SAMPLE_INTERVAL_MS = 30_000;
/** Longer than the default timeout of a check. */
const SAMPLE_TIMEOUT_MS = 10_000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 5_000;

/**
 * Follows the health of the service forever: changes arrive immediately over a stream, samples are
 * requested in between. A failed sample reveals a dead stream. Never rejects.
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
