import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Handler } from "./handler.ts";

/**
 * Limits how long a client may take to send a request: all of it where the request is one message,
 * and each silence where it is a stream. The call fails with DEADLINE_EXCEEDED.
 */
export function receivedInTime(handler: UniversalHandler, timeoutMs: number): Handler {
  const { methodKind } = handler.method;
  const isStream = methodKind === "client_streaming" || methodKind === "bidi_streaming";
  return (request) => {
    const endsAt = performance.now() + timeoutMs;
    const timeLeftMs = isStream ? () => timeoutMs : () => endsAt - performance.now();
    return handler({ ...request, body: limited(request.body, timeLeftMs) });
  };
}

async function* limited(
  body: AsyncIterable<Uint8Array>,
  timeLeftMs: () => number,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  try {
    while (true) {
      const chunk = await withinTime(chunks.next(), timeLeftMs());
      if (chunk.done) return;
      yield chunk.value;
    }
  } finally {
    // Not awaited: with a read pending it would wait for the client.
    chunks.return?.().catch(() => {});
  }
}

function withinTime<T>(next: Promise<T>, timeLeftMs: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => {
    reject(new ConnectError("the request took too long to arrive", Code.DeadlineExceeded));
  }, timeLeftMs);
  next.then(resolve, reject);
  return promise.finally(() => clearTimeout(timer));
}
