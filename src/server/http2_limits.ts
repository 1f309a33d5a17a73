import type http2 from "node:http2";

/** Limits that node:http2 leaves to its user. Durations are in milliseconds. */
export interface Http2Limits {
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/**
 * Ends a session that is of no use any more: politely when it has had no stream for the idle
 * timeout, and abruptly when it has streams but its client does not answer a PING (RFC 9113,
 * section 6.7) within the header timeout; one is sent every idle timeout. A stream that only waits
 * for news, such as `grpc.health.v1.Health/Watch`, stays open for as long as its client lives.
 */
export function guardHttp2Session(session: http2.ServerHttp2Session, limits: Http2Limits): void {
  let openStreams = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  // Not session.setTimeout(): on Deno it fires once, and a PING and its answer do not rearm it.
  const watch = () => {
    clearTimeout(timer);
    if (!session.destroyed) timer = setTimeout(check, limits.idleTimeoutMs);
  };
  const check = () => {
    if (openStreams === 0) return session.close();
    timer = setTimeout(() => session.destroy(), limits.headerTimeoutMs);
    session.ping(watch);
  };
  watch();

  session.on("error", () => session.destroy());
  session.on("stream", (stream) => {
    openStreams++;
    stream.once("close", () => {
      openStreams--;
      if (openStreams === 0) watch();
    });
    // A reset or a lost client; the request's signal tells the handler.
    stream.on("error", () => {});
  });
  session.once("close", () => clearTimeout(timer));
}
