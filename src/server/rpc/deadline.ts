import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { ConnectError } from "@connectrpc/connect";
import { MAX_TIMER_MS } from "../../time.ts";

/** How long a client is willing to wait. */
export interface Timeout {
  /** In milliseconds; undefined: for ever. */
  readonly timeoutMs?: number;
  /** The text was no timeout. */
  readonly error?: ConnectError;
}

/**
 * Reads the timeout of a call; what no timer can wait for is cut down to what one can.
 *
 * Sources: `Connect-Timeout-Ms` of the Connect protocol, `grpc-timeout` of gRPC over HTTP/2.
 */
export function readTimeout(isConnect: boolean, text: string | undefined): Timeout {
  if (text === undefined) return {};
  const parse = isConnect ? parseConnectTimeout : parseGrpcTimeout;
  const { timeoutMs, error } = parse(text, Number.MAX_SAFE_INTEGER);
  if (error !== undefined) return { error };
  return { timeoutMs: Math.min(timeoutMs ?? MAX_TIMER_MS, MAX_TIMER_MS) };
}
