import type { ServerConfig } from "../config/mod.ts";
import type { Logger } from "../log/mod.ts";
import { CallLimit } from "./call_limit.ts";
import { frontDoor } from "./front_door.ts";
import { get, type Handler, response } from "./handler.ts";
import { httpUrl } from "./http_url.ts";
import { Listener } from "./listener.ts";
import { notFound } from "./not_found.ts";

const METRICS_PATH = "/metrics";

/** Renders the metrics in a format that the Accept header allows. */
export type Expose = (
  accept: string | null,
) => Promise<{ readonly contentType: string; readonly text: string }>;

/** The handler of `/metrics`, by its path. */
export function metricsPage(expose: Expose): ReadonlyMap<string, Handler> {
  const header = { "cache-control": "no-store", vary: "accept" };
  const page = get(async (request) => {
    const { contentType, text } = await expose(request.field("accept") ?? null);
    return response(200, contentType, text, header);
  });
  return new Map([[METRICS_PATH, page]]);
}

/** Address, limits and content of a {@linkcode MetricsServer}. */
export interface MetricsServerOptions {
  readonly address: { readonly host: string; readonly port: number };
  /** Its limits apply here too. */
  readonly limits: ServerConfig;
  readonly expose: Expose;
  readonly logger: Logger;
}

/** Serves only the metrics, on a separate address, in cleartext. */
export class MetricsServer implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #calls: CallLimit;

  constructor({ address, limits, expose, logger }: MetricsServerOptions) {
    const pages = metricsPage(expose);
    this.#calls = new CallLimit({
      max: 0,
      isProbe: () => true,
      stallTimeoutMs: limits.idleTimeoutMs,
    });
    this.#listener = new Listener({
      ...limits,
      ...address,
      tls: undefined,
      onRequest: frontDoor({
        handler: (request) => (pages.get(request.path) ?? notFound)(request),
        calls: this.#calls,
        onError: (err) =>
          logger.error({ event: "request.failed", err }, "A request for metrics failed"),
      }),
    });
  }

  /**
   * Starts to listen.
   *
   * @returns The URL of the metrics.
   * @throws {Error} With code EADDRINUSE, EADDRNOTAVAIL or EACCES if it cannot listen on the
   * address.
   */
  async listen(): Promise<URL> {
    const { host, port } = await this.#listener.listen();
    return httpUrl({ host, port, path: METRICS_PATH });
  }

  /** Finishes requests in progress, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close(AbortSignal.timeout(CLOSE_TIMEOUT_MS));
    this.#calls[Symbol.dispose]();
  }
}

const CLOSE_TIMEOUT_MS = 500;
