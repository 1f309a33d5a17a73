/**
 * Probes a server under attack as Kubernetes and load balancers do: `/readyz` on a new HTTP/1.1
 * connection every 100 ms, and the gRPC health check on a new connection every second, without
 * waiting for previous probes. Its argument is the target as JSON; at the end of standard input it
 * waits for the probes in progress, and prints a {@linkcode ProbeReport}.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import { CONNECTION_START, grpcCall, RawHttp2Client } from "../tests/support/http2_client.ts";
import { get } from "../tests/support/raw_socket.ts";

/** Results of one kind of probe. */
export interface ProbeSeries {
  readonly asked: number;
  /** Without the answer of a healthy server within 5 s. */
  readonly failed: number;
  /** Of the answered ones; 0 if there were none. */
  readonly slowestMs: number;
}

export interface ProbeReport {
  readonly readyz: ProbeSeries;
  readonly check: ProbeSeries;
}

const READYZ_INTERVAL_MS = 100;
const CHECK_INTERVAL_MS = 1_000;
/** Five times the default timeout of Kubernetes. */
const TIMEOUT_MS = 5_000;
const CHECK = Buffer.concat([CONNECTION_START, grpcCall(1, "/grpc.health.v1.Health/Check")]);

/** Probes at an interval until it is stopped. */
class Prober {
  readonly #probe: (signal: AbortSignal) => Promise<void>;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #underWay: Promise<void>[] = [];
  #failed = 0;
  #slowestMs = 0;

  constructor(intervalMs: number, probe: (signal: AbortSignal) => Promise<void>) {
    this.#probe = probe;
    this.#timer = setInterval(() => this.#underWay.push(this.#ask()), intervalMs);
  }

  async stop(): Promise<ProbeSeries> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return { asked: this.#underWay.length, failed: this.#failed, slowestMs: this.#slowestMs };
  }

  async #ask(): Promise<void> {
    const startedAt = performance.now();
    try {
      await this.#probe(AbortSignal.timeout(TIMEOUT_MS));
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedAt);
    } catch {
      this.#failed++;
    }
  }
}

async function askReadyz(port: number, signal: AbortSignal): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  try {
    socket.on("error", () => {});
    await once(socket, "connect", { signal });
    socket.write(get("/readyz", { Connection: "close" }));
    const [answer] = await once(socket, "data", { signal });
    if (!`${answer}`.startsWith("HTTP/1.1 200")) throw new Error(`/readyz answered ${answer}`);
  } finally {
    socket.destroy();
  }
}

async function askCheck(port: number, signal: AbortSignal): Promise<void> {
  await using client = await RawHttp2Client.connect(port, signal);
  client.socket.write(CHECK);
  await client.until(() => client.endedStreams > 0);
  // An error is a single HEADERS frame that ends the stream, so it does not count as an answer.
  if (client.answeredStreams === 0) throw new Error("the health check was not answered");
}

const { port, http1Port } = JSON.parse(Deno.args[0] ?? "{}") as { port: number; http1Port: number };
const readyz = new Prober(READYZ_INTERVAL_MS, (signal) => askReadyz(http1Port, signal));
const check = new Prober(CHECK_INTERVAL_MS, (signal) => askCheck(port, signal));
for await (const _ of process.stdin) { /* it only ends */ }
const report: ProbeReport = { readyz: await readyz.stop(), check: await check.stop() };
console.log(JSON.stringify(report));
Deno.exit(0);
