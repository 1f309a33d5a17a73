import type net from "node:net";
import type { BackendKey } from "./driver.ts";
import { abortReason, classify } from "../errors.ts";
import { abortable } from "../../time.ts";

const CANCEL_REQUEST_BYTES = 16;
/** 1234 in the high and 5678 in the low half, in place of a protocol version. */
const CANCEL_REQUEST_CODE = (1234 << 16) | 5678;

/**
 * Asks the server to cancel whatever the session runs, over a new socket, which
 * it destroys. Whether something was cancelled is told only to the session itself.
 *
 * It resolves when the server has closed the socket. By then the backend has its
 * signal, so a statement that is sent later cannot be hit any more.
 *
 * @param dial Connects to the server of the session, encrypted if the session is.
 * @throws {DatabaseError} When that proof is missing, because the server could
 * not be reached, reset the connection or did not close it before the signal
 * aborted. A cancel may then still arrive, whenever.
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

/** The whole message; it has no type byte and no start-up before it. */
export function cancelRequest({ pid, secret }: BackendKey): Uint8Array {
  const message = new DataView(new ArrayBuffer(CANCEL_REQUEST_BYTES));
  message.setUint32(0, CANCEL_REQUEST_BYTES);
  message.setUint32(4, CANCEL_REQUEST_CODE);
  message.setUint32(8, pid);
  message.setUint32(12, secret);
  return new Uint8Array(message.buffer);
}

/** Resolves when the other side has closed the socket in order; rejects when it was reset. */
function untilClosed(socket: net.Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("end", resolve);
  socket.once("error", reject);
  socket.once(
    "close",
    () =>
      reject(Object.assign(new Error("The cancel request was cut off"), { code: "ECONNRESET" })),
  );
  // Without a reader, the end is never seen.
  socket.resume();
  return promise;
}
