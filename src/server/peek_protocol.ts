import { Buffer } from "node:buffer";
import type { Socket } from "node:net";

/**
 * First bytes of the HTTP/2 connection preface (RFC 9113, section 3.4); no HTTP/1.1 method has
 * them.
 */
const HTTP2_PREFACE_START = "PRI";

/** Detects the protocol from the first bytes of a connection, without consuming them. */
export function peekProtocol(
  socket: Socket,
  timeoutMs: number,
  serve: { serveHttp1: (socket: Socket) => void; serveHttp2: (socket: Socket) => void },
): void {
  const giveUp = () => void socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs);
  const onClose = () => clearTimeout(timer);
  let first = Buffer.alloc(0);
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    first = Buffer.concat([first, chunk]);
    const start = first.toString("latin1", 0, HTTP2_PREFACE_START.length);
    if (start.length < HTTP2_PREFACE_START.length && HTTP2_PREFACE_START.startsWith(start)) return;
    onClose();
    socket.off("readable", onReadable);
    socket.off("end", giveUp);
    socket.off("close", onClose);
    socket.unshift(first);
    (start === HTTP2_PREFACE_START ? serve.serveHttp2 : serve.serveHttp1)(socket);
  };
  socket.once("close", onClose);
  socket.once("end", giveUp);
  socket.on("readable", onReadable);
}
