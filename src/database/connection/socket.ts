import { lookup as systemLookup } from "node:dns/promises";
import net from "node:net";
import type { HostAddress } from "../../config/mod.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import { abortable } from "../../time.ts";

/** Settings of {@linkcode connectSocket}. */
export interface SocketOptions {
  /** Time of silence before TCP keepalive probes start; undefined sends none. */
  readonly keepAliveIdleMs: number | undefined;
  readonly signal: AbortSignal;
}

/** Gives every address of a host name. */
export type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

/** As the operating system resolves names for every program. */
const lookupAll: Lookup = (host) => systemLookup(host, { all: true, order: "verbatim" });

/**
 * Every address of a host name, in the resolver's order. An IP address is its own and only one.
 *
 * @throws {DatabaseError} `HOST_NOT_FOUND`, `HOST_UNREACHABLE`, or the signal's reason.
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
 * Opens a TCP connection to one address, with Nagle's algorithm off. It has no time limit of its
 * own: abort the signal.
 *
 * Not over a Unix socket: that was left out because Deno 2.9.3 closed the descriptor of one twice,
 * the second time perhaps another connection's. Deno 2.9.6 closes it once.
 *
 * @throws {DatabaseError} Classified by the error of the operating system, or the signal's reason.
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

/** An unknown error cannot be the database's, which has not been asked yet: EMFILE, for instance. */
function unreachable(error: unknown): DatabaseError {
  const failure = classify(error);
  if (failure.code !== "QUERY_FAILED") return failure;
  return new DatabaseError("HOST_UNREACHABLE", { message: failure.message, cause: error });
}

/**
 * Resolves with the first argument of the socket's next `event`; rejects on an
 * error, on a close (as a reset) and on abort. Leaves a listener for errors
 * behind, because an error that nobody listens to ends the process.
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
