import { setTimeout as delay } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Health } from "../../../gen/treasury/v1/health_pb.ts";
import type { Answer, Sighting, Silence } from "./sighting.ts";

const RECONNECT_DELAY_MS = 1_000;

/** Address and timeouts of {@linkcode askHealth} and {@linkcode followHealth}. */
export interface ServiceOptions {
  readonly url: string;
  readonly signal: AbortSignal;
  /**
   * Timeout of a response, in milliseconds. The service needs at most DB_PING_TIMEOUT.
   *
   * @default 10_000
   */
  readonly answerTimeoutMs?: number;
  /**
   * Maximum time between two messages of a stream, in milliseconds. The service sends one after
   * each HEALTH_WATCH_HEARTBEAT; if that is longer, the stream is reopened, which is harmless.
   *
   * @default 45_000
   */
  readonly silenceTimeoutMs?: number;
}

const DEFAULTS = { answerTimeoutMs: 10_000, silenceTimeoutMs: 45_000 };

/** Requests the health once; the service then checks its dependencies. Throws only when aborted. */
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
 * Yields every change, and reconnects after errors, until aborted. A repeated problem is yielded
 * once.
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
  const giveUp = () => silent.abort(new ConnectError("no response in time", Code.DeadlineExceeded));
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
    silent.abort(); // Otherwise an abandoned stream stays open.
  }
}

function connect(url: string): Client<typeof Health> {
  return createClient(Health, createConnectTransport({ baseUrl: url }));
}

function silence(error: unknown): Silence {
  const connectError = ConnectError.from(error);
  const { code } = connectError;
  if (code === Code.Unimplemented) return { problem: "the server is not a Treasury Service" };
  if (code === Code.DeadlineExceeded) return { problem: "no response in time" };
  const reason = rootCause(connectError).message;
  // The fetch of the runtime joins a chain of causes into one text; the last one is the most
  // specific.
  return { problem: reason.split(": ").at(-1)!.replace(/ \(os error \d+\)$/, "") };
}

function rootCause(error: Error): Error {
  return error.cause instanceof Error ? rootCause(error.cause) : error;
}
