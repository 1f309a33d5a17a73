import type http2 from "node:http2";
import type { FrameGuard } from "./frame_guard.ts";

/** Timeouts of an HTTP/2 session that node:http2 does not enforce, in milliseconds. */
export interface Http2Limits {
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/**
 * Closes sessions that are idle or whose client is gone. At each idle timeout, a session without
 * streams is sent GOAWAY, and one with streams is sent a PING (RFC 9113, section 6.7); a client
 * that neither closes nor acknowledges within the header timeout is disconnected. A stream that
 * waits for events, such as `grpc.health.v1.Health/Watch`, stays open as long as its client
 * responds. A session whose client has sent GOAWAY is closed after its last stream.
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
  // Not session.setTimeout(): on Deno it fires once, and a PING and its acknowledgement do not
  // rearm it.
  const watch = () => later(check, limits.idleTimeoutMs);
  const check = () => {
    later(cut, limits.headerTimeoutMs);
    if (openStreams > 0 && !session.destroyed) session.ping((error) => error === null && watch());
    else session.close();
  };
  // Closing a session ends only this side of its socket, after everything was sent: a client that
  // does not read, or does not close its side, would keep the connection open.
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
    // A reset or a disconnected client; the signal of the request informs the handler.
    stream.on("error", () => {});
  });
  socket.once("close", () => clearTimeout(timer));
}
