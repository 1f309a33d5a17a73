import { Code, ConnectError } from "@connectrpc/connect";

/** The error that ends an endless stream: of the call, or UNAVAILABLE on shutdown. */
export function endOfStream(call: AbortSignal, shutdown: AbortSignal): ConnectError {
  return shutdown.aborted
    ? new ConnectError("The service is shutting down.", Code.Unavailable)
    : ConnectError.from(call.reason, Code.Canceled);
}
