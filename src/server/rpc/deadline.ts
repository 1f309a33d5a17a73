import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { ConnectError } from "@connectrpc/connect";
import { MAX_TIMER_MS } from "../../time.ts";

/** The timeout that a client has set for a call. */
export interface Timeout {
  /** In milliseconds; undefined: none. */
  readonly timeoutMs?: number;
  /** The value of the header was no valid timeout. */
  readonly error?: ConnectError;
}

/**
 * Parses the timeout of a call, limited to the maximum delay of a timer.
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
