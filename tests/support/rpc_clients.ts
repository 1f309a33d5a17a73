import http from "node:http";
import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import type { Compression } from "@connectrpc/connect/protocol";
import type { DescService } from "@bufbuild/protobuf";
import { eventually } from "./condition.ts";

/** How an RPC client talks to a server. */
export type Wire = (typeof WIRES)[number];

/** Every protocol over every HTTP version that it allows. */
export const WIRES = [
  { protocol: "connect", httpVersion: "1.1", useBinaryFormat: false },
  { protocol: "connect", httpVersion: "1.1", useBinaryFormat: true },
  { protocol: "connect", httpVersion: "2", useBinaryFormat: false },
  { protocol: "connect", httpVersion: "2", useBinaryFormat: true },
  { protocol: "grpc-web", httpVersion: "1.1", useBinaryFormat: false },
  { protocol: "grpc-web", httpVersion: "1.1", useBinaryFormat: true },
  { protocol: "grpc-web", httpVersion: "2", useBinaryFormat: false },
  { protocol: "grpc-web", httpVersion: "2", useBinaryFormat: true },
  { protocol: "grpc", httpVersion: "2", useBinaryFormat: false },
  { protocol: "grpc", httpVersion: "2", useBinaryFormat: true },
] as const;

/** For test names, such as `grpc-web, binary, HTTP/1.1`. */
export function nameOf({ protocol, httpVersion, useBinaryFormat }: Wire): string {
  return `${protocol}, ${useBinaryFormat ? "binary" : "JSON"}, HTTP/${httpVersion}`;
}

/** The first message of a stream, which is then left: breaking off a loop does not over HTTP/2. */
export async function firstOf<T>(
  call: (options: { signal: AbortSignal }) => AsyncIterable<T>,
): Promise<T> {
  const leaving = new AbortController();
  try {
    for await (const message of call({ signal: leaving.signal })) return message;
    throw new Error("the stream has no message");
  } finally {
    leaving.abort();
  }
}

/** Connections of one RPC client; disposing closes them. */
export class RpcConnection implements AsyncDisposable {
  readonly transport: Transport;
  readonly #close: () => Promise<void> | void;

  constructor(url: URL, wire: Wire, { useHttpGet = false, sendCompression, interceptors = [] }: {
    useHttpGet?: boolean;
    interceptors?: Interceptor[];
    sendCompression?: Compression;
  } = {}) {
    const common = {
      baseUrl: url.href,
      useBinaryFormat: wire.useBinaryFormat,
      interceptors,
      ...(sendCompression && { sendCompression, compressMinBytes: 0 }),
    };
    if (wire.httpVersion === "1.1") {
      const agent = new http.Agent({ keepAlive: true });
      this.#close = () => agent.destroy();
      const options = { ...common, httpVersion: "1.1", nodeOptions: { agent } } as const;
      this.transport = wire.protocol === "connect"
        ? createConnectTransport({ ...options, useHttpGet })
        : createGrpcWebTransport(options);
      return;
    }
    const sessionManager = new Http2SessionManager(url.href);
    this.#close = async () => {
      // A stream that ends after the session starts a timer of 15 minutes in connect-node 2.2.
      await eventually(() => sessionManager.state() !== "open", { what: "all streams are closed" });
      sessionManager.abort();
    };
    const options = { ...common, httpVersion: "2", sessionManager } as const;
    this.transport = wire.protocol === "connect"
      ? createConnectTransport({ ...options, useHttpGet })
      : wire.protocol === "grpc-web"
      ? createGrpcWebTransport(options)
      : createGrpcTransport({ ...common, sessionManager });
  }

  client<T extends DescService>(service: T) {
    return createClient(service, this.transport);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
