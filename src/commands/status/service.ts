import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Health } from "../../../gen/treasury/v1/health_pb.ts";
import type { Answer, Sighting, Silence } from "./sighting.ts";

const RECONNECT_DELAY_MS = 1_000;

/** Options of {@linkcode askHealth} and {@linkcode followHealth}. */
export interface ServiceOptions {
  readonly url: string;
  readonly signal: AbortSignal;
  /**
   * For an answer, which takes the service a DB_PING_TIMEOUT at worst.
   *
   * @default 10_000
   */
  readonly answerTimeoutMs?: number;
  /**
   * Between two messages of a stream. The service sends one after each HEALTH_WATCH_HEARTBEAT;
   * where that is longer, the stream is opened again, which does no harm.
   *
   * @default 45_000
   */
  readonly silenceTimeoutMs?: number;
}

const DEFAULTS = { answerTimeoutMs: 10_000, silenceTimeoutMs: 45_000 };

/** Asks once; the service checks its dependencies to answer. Never throws but when aborted. */
export async function askHealth(options: ServiceOptions): Promise<Sighting> {
  const { url, signal, answerTimeoutMs: timeoutMs } = { ...DEFAULTS, ...options };
  try {
    const health = await connect(url).getHealth({}, { signal, timeoutMs });
    return { health, events: [] };
  } catch (error) {
    signal.throwIfAborted();
    return silence(error);
  }
}

/**
 * Follows every change, connecting again whenever that ends, until it is aborted. That the same
 * problem goes on is no news.
 */
export async function* followHealth(options: ServiceOptions): AsyncGenerator<Sighting, void> {
  const { signal } = options;
  const client = connect(options.url);
  let problem: string | undefined;
  while (!signal.aborted) {
    try {
      for await (const answer of follow(client, { ...DEFAULTS, ...options })) {
        problem = undefined;
        yield answer;
      }
    } catch (error) {
      if (signal.aborted) return;
      const sighting = silence(error);
      if (sighting.problem !== problem) yield sighting;
      problem = sighting.problem;
    }
    await delay(RECONNECT_DELAY_MS, undefined, { signal }).catch(() => {});
  }
}

async function* follow(
  client: Client<typeof Health>,
  { signal, answerTimeoutMs, silenceTimeoutMs }: Required<ServiceOptions>,
): AsyncGenerator<Answer, void> {
  const silent = new AbortController();
  const giveUp = () => silent.abort(new ConnectError("no answer in time", Code.DeadlineExceeded));
  let timer = setTimeout(giveUp, answerTimeoutMs);
  try {
    const call = { signal: AbortSignal.any([signal, silent.signal]) };
    for await (const { health, recentEvents } of client.watchHealth({}, call)) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, silenceTimeoutMs);
      if (health !== undefined) yield { health, events: recentEvents };
    }
  } catch (error) {
    throw silent.signal.aborted ? silent.signal.reason : error;
  } finally {
    clearTimeout(timer);
    silent.abort(); // A stream that is left stays open otherwise.
  }
}

function connect(url: string): Client<typeof Health> {
  return createClient(Health, createConnectTransport({ baseUrl: url }));
}

function silence(error: unknown): Silence {
  const connectError = ConnectError.from(error);
  const { code } = connectError;
  if (code === Code.Unimplemented) return { problem: "it answers, but is no Treasury Service" };
  if (code === Code.DeadlineExceeded) return { problem: "no answer in time" };
  const reason = rootCause(connectError).message;
  // The runtime's fetch puts a chain of reasons into one text, of which the last says the most.
  return { problem: reason.split(": ").at(-1)!.replace(/ \(os error \d+\)$/, "") };
}

function rootCause(error: Error): Error {
  return error.cause instanceof Error ? rootCause(error.cause) : error;
}
