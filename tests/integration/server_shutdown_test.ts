import assert from "node:assert/strict";
import type { ConnectRouter } from "@connectrpc/connect";
import { Health, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall } from "../support/http2_client.ts";
import { Flag, FrameType } from "../support/http2_client_frames.ts";
import { framesFrom, hasFrame } from "../support/http2_server_frames.ts";
import { GET_HEALTH, RawSocket } from "../support/raw_socket.ts";
import { nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer, WITHOUT_TIMEOUTS } from "../support/server.ts";

const GET_HEALTH_PATH = "/treasury.v1.Health/GetHealth";
const WATCH = "/treasury.v1.Health/WatchHealth";

/** An RPC that runs until it is told to finish, or until its client is gone. */
class SlowCall {
  readonly #started = Promise.withResolvers<void>();
  readonly #finish = Promise.withResolvers<void>();

  readonly routes = (router: ConnectRouter): void => {
    router.service(Health, {
      getHealth: async () => {
        this.#started.resolve();
        await this.#finish.promise;
        return { status: ServiceStatus.HEALTHY };
      },
    });
  };

  get started(): Promise<void> {
    return this.#started.promise;
  }

  finish(): void {
    this.#finish.resolve();
  }
}

for (const wire of WIRES.filter(({ httpVersion }) => httpVersion === "1.1")) {
  Deno.test(`shutdown: ${nameOf(wire)}: a running call finishes, new connections are refused`, async () => {
    const call = new SlowCall();
    await using server = await startServer({}, call.routes);
    await using connection = new RpcConnection(server.url, wire);
    const answer = connection.client(Health).getHealth({});
    await call.started;

    const closed = server.server.close();
    await assert.rejects(RawSocket.connect(server.port), { code: "ECONNREFUSED" });
    call.finish();
    assert.equal((await answer).status, ServiceStatus.HEALTHY);
    await closed;
    assert.equal(server.server.connections, 0);
  });
}

// Deno's HTTP/2 client loses answers that came just before the end of the connection, so this is
// raw; Node's client was seen to get them.
Deno.test("shutdown: a running stream finishes, and its session takes no new ones", async () => {
  const call = new SlowCall();
  await using server = await startServer({}, call.routes);
  await using socket = await RawSocket.connect(server.port);
  socket.write(CONNECTION_START);
  socket.write(grpcCall(1, GET_HEALTH_PATH));
  await call.started;

  const closed = server.server.close();
  await eventually(() => hasFrame(socket, FrameType.GOAWAY), { what: "GOAWAY has come" });
  assert.equal(hasFrame(socket, FrameType.HEADERS, 1), false);
  call.finish();
  await closed;
  await socket.closedByServer();
  assert.equal(hasFrame(socket, FrameType.DATA, 1), true);
  const end = framesFrom(socket).findLast(({ stream }) => stream === 1);
  assert.equal(end?.type, FrameType.HEADERS);
  assert.equal(end.flags & Flag.END_STREAM, Flag.END_STREAM);
});

Deno.test("shutdown: connections without a request are closed at once", async () => {
  await using server = await startServer(WITHOUT_TIMEOUTS);
  await using unused = await RawSocket.connect(server.port);
  await using undecided = await RawSocket.connect(server.port);
  undecided.write("PR");
  await using kept = await RawSocket.connect(server.port);
  kept.write(GET_HEALTH);
  await kept.readResponse();
  await using session = await RawSocket.connect(server.port);
  session.write(CONNECTION_START);
  await eventually(() => hasFrame(session, FrameType.SETTINGS), { what: "the session is open" });
  await eventually(() => server.server.connections === 4, { what: "all are connected" });

  void server.server.close();
  for (const socket of [unused, undecided, kept, session]) await socket.closedByServer();
  assert.ok(hasFrame(session, FrameType.GOAWAY));
  await eventually(() => server.server.connections === 0, { what: "no connection is held" });
});

Deno.test("shutdown: the connection of the last HTTP/1.1 request is closed after it", async () => {
  const call = new SlowCall();
  await using server = await startServer({}, call.routes);
  await using socket = await RawSocket.connect(server.port);
  socket.write(GET_HEALTH);
  await call.started;
  const closed = server.server.close();
  call.finish();
  assert.equal((await socket.readResponse()).header.get("connection"), "close");
  await socket.closedByServer();
  await closed;
});

Deno.test("shutdown: what is still running is cut when the signal aborts", async () => {
  const call = new SlowCall();
  await using server = await startServer({}, call.routes);
  await using http1 = await RawSocket.connect(server.port);
  http1.write(GET_HEALTH);
  await using http2 = await RawSocket.connect(server.port);
  http2.write(CONNECTION_START);
  http2.write(grpcCall(1, GET_HEALTH_PATH));
  await eventually(() => server.server.connections === 2, { what: "both are connected" });
  await call.started;

  const cut = new AbortController();
  const closed = server.server.close(cut.signal);
  cut.abort();
  await closed;
  await http1.closedByServer();
  await http2.closedByServer();
  assert.equal(http1.received.length, 0);
  call.finish();
});

Deno.test("shutdown: what is still running is cut after the timeout", async () => {
  await using server = await startServer({ shutdownTimeoutMs: 100 });
  await using socket = await RawSocket.connect(server.port);
  socket.write(CONNECTION_START);
  socket.write(grpcCall(1, WATCH));
  await eventually(() => hasFrame(socket, FrameType.DATA), { what: "the stream is running" });
  await server.server.close();
  await socket.closedByServer();
  assert.equal(server.server.connections, 0);
});

Deno.test("shutdown: closing twice, at the same time and again, is closing once", async () => {
  const server = await startServer();
  await Promise.all([server.server.close(), server.server.close()]);
  await server.server.close();
  await server[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

Deno.test("shutdown: a second close with a signal can cut what the first one waits for", async () => {
  const call = new SlowCall();
  const server = await startServer({}, call.routes);
  await using socket = await RawSocket.connect(server.port);
  socket.write(GET_HEALTH);
  await call.started;
  const closed = server.server.close();
  await server[Symbol.asyncDispose]();
  await closed;
  call.finish();
});

Deno.test("shutdown: a server that could not listen can be closed", async () => {
  await using first = await startServer();
  await assert.rejects(startServer({ port: first.port }), { code: "EADDRINUSE" });
});
