import type net from "node:net";
import type { BackendKey } from "./driver.ts";
import { abortReason, classify } from "../errors.ts";
import { abortable } from "../../time.ts";

const CANCEL_REQUEST_BYTES = 16;
/** The cancel request code, 1234.5678, in place of a protocol version. */
const CANCEL_REQUEST_CODE = (1234 << 16) | 5678;

/**
 * Asks the server to cancel the running statement of the session, over a new socket. Whether
 * a statement was cancelled is reported only to the session itself.
 *
 * Resolves when the server has closed the socket. By then the backend has received its signal, so
 * that a statement that is sent later cannot be cancelled by it.
 *
 * @param dial Connects to the server of the session, encrypted if the session is.
 * @throws {DatabaseError} If the server cannot be reached, resets the connection, or does not close
 * it before the signal aborts. The cancel may then still take effect at any time.
 *
 * Source: PostgreSQL documentation, 55.2.8 "Canceling Requests in Progress".
 */
export async function requestCancel(
  key: BackendKey,
  dial: (signal: AbortSignal) => Promise<net.Socket>,
  signal: AbortSignal,
): Promise<void> {
  const socket = await dial(signal);
  try {
    const closed = untilClosed(socket);
    socket.write(cancelRequest(key));
    await abortable(closed, signal, abortReason);
  } catch (error) {
    throw classify(error);
  } finally {
    socket.destroy();
  }
}

/** The complete message; it has no type byte and follows no startup message. */
export function cancelRequest({ pid, secret }: BackendKey): Uint8Array {
  const message = new DataView(new ArrayBuffer(CANCEL_REQUEST_BYTES));
  message.setUint32(0, CANCEL_REQUEST_BYTES);
  message.setUint32(4, CANCEL_REQUEST_CODE);
  message.setUint32(8, pid);
  message.setUint32(12, secret);
  return new Uint8Array(message.buffer);
}

/** Resolves when the peer has closed the socket; rejects when it was reset. */
function untilClosed(socket: net.Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("end", resolve);
  socket.once("error", reject);
  socket.once(
    "close",
    () => reject(Object.assign(new Error("The cancel request was reset"), { code: "ECONNRESET" })),
  );
  // Without a reader, the end of the stream is not detected.
  socket.resume();
  return promise;
}
