import { Code, ConnectError } from "@connectrpc/connect";

/** Why a stream ended that would otherwise go on for ever. */
export function endOfStream(call: AbortSignal, shutdown: AbortSignal): ConnectError {
  return shutdown.aborted
    ? new ConnectError("The service is shutting down.", Code.Unavailable)
    : ConnectError.from(call.reason, Code.Canceled);
}
