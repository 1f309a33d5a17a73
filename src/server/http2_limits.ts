import type http2 from "node:http2";

/** Limits that node:http2 leaves to its user. Durations are in milliseconds. */
export interface Http2Limits {
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/**
 * Ends a session that is of no use any more: politely when it has had no stream for the idle
 * timeout, and abruptly when nothing moved on its streams for that time and the client does not
 * answer a PING (RFC 9113, section 6.7) within the header timeout. A stream that only waits for
 * news, such as `grpc.health.v1.Health/Watch`, stays open for as long as its client lives.
 */
export function guardHttp2Session(session: http2.ServerHttp2Session, limits: Http2Limits): void {
  const closeLater = () => setTimeout(() => session.close(), limits.idleTimeoutMs);
  let openStreams = 0;
  let idleTimer = closeLater();
  let pingTimer: ReturnType<typeof setTimeout> | undefined;

  session.on("error", () => session.destroy());
  session.on("stream", (stream) => {
    openStreams++;
    clearTimeout(idleTimer);
    stream.once("close", () => {
      openStreams--;
      if (openStreams === 0 && !session.destroyed) idleTimer = closeLater();
    });
    // A reset or a lost client; the request's signal tells the handler.
    stream.on("error", () => {});
  });
  session.setTimeout(limits.idleTimeoutMs, () => {
    if (openStreams === 0 || pingTimer !== undefined) return;
    pingTimer = setTimeout(() => session.destroy(), limits.headerTimeoutMs);
    session.ping(() => {
      clearTimeout(pingTimer);
      pingTimer = undefined;
    });
  });
  session.once("close", () => {
    clearTimeout(idleTimer);
    clearTimeout(pingTimer);
  });
}
