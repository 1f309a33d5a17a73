import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { once } from "node:events";
import * as http2 from "node:http2";
import * as net from "node:net";
import {
  Health,
  type HealthCheckRequest,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from "../../gen/grpc/health/v1/health_pb.ts";

/** Something that listens, and can be talked to. */
export interface Peer extends AsyncDisposable {
  readonly port: number;
  /** Connections that were made so far, without the one that is being handled. */
  readonly connections: number;
}

/** A TCP server that does with each connection what it is told. */
export async function startTcpPeer(onConnection: (socket: net.Socket) => void): Promise<Peer> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    onConnection(socket);
  });
  return await listening(server);
}

/** An HTTP/2 server with Connect's handlers for the routes. */
export async function startHttp2Peer(
  routes: (router: ConnectRouter) => void,
  options: { host?: string; port?: number; tls?: { cert: string; key: string } } = {},
): Promise<Peer> {
  const handler = connectNodeAdapter({ routes });
  const server = options.tls === undefined
    ? http2.createServer(handler)
    : http2.createSecureServer(options.tls, handler);
  return await listening(server, options);
}

/** The routes of a server that answers every Check with a status. */
export function healthRoutes(
  status: () => ServingStatus | Promise<ServingStatus>,
): (router: ConnectRouter) => void {
  return ({ service }) => service(Health, { check: async () => ({ status: await status() }) });
}

async function listening(
  server: net.Server,
  { host = "127.0.0.1", port = 0 }: { host?: string; port?: number } = {},
): Promise<Peer> {
  const sockets = new Set<net.Socket>();
  let connections = 0;
  server.on("connection", (socket) => {
    connections++;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(port, host);
  await once(server, "listening");
  const { port: boundPort } = server.address() as net.AddressInfo;
  return {
    port: boundPort,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A server of the reference implementation for Node; stopping it is graceful (GOAWAY). */
export async function startGrpcJsPeer(
  { port = 0, health = true }: { port?: number; health?: boolean } = {},
): Promise<{ port: number } & AsyncDisposable> {
  const server = new grpc.Server();
  if (health) addHealth(server);
  const credentials = grpc.ServerCredentials.createInsecure();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(
    `127.0.0.1:${port}`,
    credentials,
    (error, bound) => error ? reject(error) : resolve(bound),
  );
  return {
    port: await promise,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
      }),
  };
}

function addHealth(server: grpc.Server): void {
  server.addService(
    {
      check: {
        path: `/${Health.typeName}/Check`,
        requestStream: false,
        responseStream: false,
        requestSerialize: serialize(HealthCheckRequestSchema),
        requestDeserialize: deserialize(HealthCheckRequestSchema),
        responseSerialize: serialize(HealthCheckResponseSchema),
        responseDeserialize: deserialize(HealthCheckResponseSchema),
      },
    },
    {
      check(
        call: grpc.ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
        answer: grpc.sendUnaryData<MessageInitShape<typeof HealthCheckResponseSchema>>,
      ) {
        if (call.request.service === "") answer(null, { status: ServingStatus.SERVING });
        else answer({ code: grpc.status.NOT_FOUND, details: "token=hunter2" });
      },
    },
  );
}

function serialize<Desc extends DescMessage>(schema: Desc) {
  return (message: MessageInitShape<Desc>) =>
    Buffer.from(toBinary(schema, create(schema, message)));
}

function deserialize<Desc extends DescMessage>(schema: Desc) {
  return (bytes: Uint8Array): MessageShape<Desc> => fromBinary(schema, bytes);
}
