import { lookup as systemLookup } from "node:dns/promises";
import net from "node:net";
import type { HostAddress } from "../../config/mod.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import { abortable } from "../../time.ts";

/** Keepalive and abort signal of {@linkcode connectSocket}. */
export interface SocketOptions {
  /** Idle time before TCP keepalive probes, in milliseconds; undefined: no probes. */
  readonly keepAliveIdleMs: number | undefined;
  readonly signal: AbortSignal;
}

/** Resolves a host name to all its addresses. */
export type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

/** The resolver of the operating system. */
const lookupAll: Lookup = (host) => systemLookup(host, { all: true, order: "verbatim" });

/**
 * Resolves a host name to all its addresses, in order. An IP address resolves to itself.
 *
 * @throws {DatabaseError} `HOST_NOT_FOUND`, `HOST_UNREACHABLE`, or the reason of the signal.
 */
export async function resolveHost(
  host: string,
  signal: AbortSignal,
  lookup: Lookup = lookupAll,
): Promise<string[]> {
  if (net.isIP(host) !== 0) return [host];
  try {
    const found = await abortable(lookup(host), signal, abortReason);
    return found.map(({ address }) => address);
  } catch (error) {
    throw unreachable(error);
  }
}

/**
 * Opens a TCP connection to one address, without Nagle's algorithm. It has no timeout: abort the
 * signal.
 *
 * Unix sockets are not supported, because Deno 2.9.3 closed their descriptors twice, which could
 * close another connection. Deno 2.9.6 closes them once.
 *
 * @throws {DatabaseError} Classified by the error of the operating system, or the reason of the
 * signal.
 */
export async function connectSocket(
  { host, port }: HostAddress,
  { keepAliveIdleMs, signal }: SocketOptions,
): Promise<net.Socket> {
  if (signal.aborted) throw abortReason(signal);
  const socket = net.connect({ host, port });
  try {
    await untilEvent(socket, "connect", signal);
  } catch (error) {
    socket.destroy();
    throw unreachable(error);
  }
  socket.setNoDelay(true);
  if (keepAliveIdleMs !== undefined) socket.setKeepAlive(true, keepAliveIdleMs);
  return socket;
}

/** Unknown errors are local ones, such as EMFILE, because the server has not been contacted yet. */
function unreachable(error: unknown): DatabaseError {
  const failure = classify(error);
  if (failure.code !== "QUERY_FAILED") return failure;
  return new DatabaseError("HOST_UNREACHABLE", { message: failure.message, cause: error });
}

/**
 * Resolves with the first argument of the next `event` of the socket; rejects on an error, on a
 * close (as a reset) and on abort. Leaves an error listener behind, because an unhandled error
 * event terminates the process.
 */
export async function untilEvent(
  socket: net.Socket,
  event: "connect" | "data" | "secureConnect",
  signal: AbortSignal,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const onClose = () =>
    reject(Object.assign(new Error("The server closed the connection"), { code: "ECONNRESET" }));
  socket.once(event, resolve);
  socket.on("error", reject);
  socket.once("close", onClose);
  try {
    return await abortable(promise, signal, abortReason);
  } finally {
    socket.off(event, resolve);
    socket.off("close", onClose);
  }
}
