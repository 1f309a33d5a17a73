import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { BodyLimits, RequestBody } from "./handler.ts";

const NOTHING = new Uint8Array();

/** The request body of a node:http or node:http2 request. */
export class NodeBody implements RequestBody {
  readonly #readable: Readable;
  readonly #isEmpty: boolean;

  constructor(readable: Readable, isEmpty: boolean) {
    this.#readable = readable;
    this.#isEmpty = isEmpty;
  }

  bytes({ maxBytes, timeoutMs, inspect }: BodyLimits): Promise<Uint8Array> {
    if (this.#isEmpty) return Promise.resolve(NOTHING);
    const readable = this.#readable;
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      let isInspected = inspect === undefined;
      const stop = (error?: unknown) => {
        clearTimeout(timer);
        readable.off("data", onData).off("end", stop).off("close", onClose).off("error", onClose);
        if (error === undefined) return resolve(joined(chunks));
        readable.pause();
        reject(error);
      };
      const onData = (chunk: Uint8Array) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > maxBytes) return stop(tooLarge(maxBytes));
        if (isInspected) return;
        try {
          isInspected = inspect!(joined(chunks));
        } catch (error) {
          stop(error);
        }
      };
      const onClose = () => stop(new ConnectError("the client has disconnected", Code.Canceled));
      const timer = setTimeout(() => stop(tooSlow()), timeoutMs);
      readable.on("data", onData).on("end", stop).on("close", onClose).on("error", onClose);
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    // Destroying the stream would destroy the answer, too.
    return this.#readable.iterator({ destroyOnReturn: false });
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/** Error for a request message above `SERVER_MAX_REQUEST_BYTES`. */
export function tooLarge(maxBytes: number): ConnectError {
  return new ConnectError(
    `the request message is larger than ${maxBytes} bytes`,
    Code.ResourceExhausted,
  );
}

/** Error for a request that does not arrive within `SERVER_REQUEST_TIMEOUT`. */
export function tooSlow(): ConnectError {
  return new ConnectError("timed out while reading the request", Code.DeadlineExceeded);
}
