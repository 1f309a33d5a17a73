import type http2 from "node:http2";
import type { FrameGuard } from "./frame_guard.ts";

/** Limits that node:http2 leaves to its user. Durations are in milliseconds. */
export interface Http2Limits {
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/**
 * Ends a session that is of no use any more. At every idle timeout, one that has no stream is told
 * to go, and one that has streams is sent a PING (RFC 9113, section 6.7); a client that has neither
 * gone nor answered within the header timeout is cut off. A stream that only waits for news, such
 * as `grpc.health.v1.Health/Watch`, stays open for as long as its client lives. A session whose
 * client has said GOAWAY is closed after its last stream.
 */
export function guardHttp2Session(
  session: http2.ServerHttp2Session,
  guard: FrameGuard,
  limits: Http2Limits,
): void {
  const { socket } = guard;
  let openStreams = 0;
  let isLeaving = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const later = (action: () => void, delayMs: number) => {
    clearTimeout(timer);
    if (!socket.destroyed) timer = setTimeout(action, delayMs);
  };
  // Not session.setTimeout(): on Deno it fires once, and a PING and its answer do not rearm it.
  const watch = () => later(check, limits.idleTimeoutMs);
  const check = () => {
    later(cut, limits.headerTimeoutMs);
    if (openStreams > 0 && !session.destroyed) session.ping((error) => error === null && watch());
    else session.close();
  };
  // A session's end only ends our side of its socket, after everything was sent: a client that does
  // not read, or does not close its own side, would keep the connection.
  const cut = () => {
    session.destroy();
    socket.destroy();
  };
  const rest = () => isLeaving ? check() : watch();
  watch();

  guard.once("leaving", () => {
    isLeaving = true;
    if (openStreams === 0) rest();
  });
  session.on("error", () => session.destroy());
  session.on("stream", (stream) => {
    openStreams++;
    stream.once("close", () => {
      openStreams--;
      if (openStreams === 0) rest();
    });
    // A reset or a lost client; the request's signal tells the handler.
    stream.on("error", () => {});
  });
  socket.once("close", () => clearTimeout(timer));
}
