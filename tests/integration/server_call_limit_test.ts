import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { Health as GrpcHealth } from "../../gen/grpc/health/v1/health_pb.ts";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall, grpcHeader } from "../support/http2_client.ts";
import {
  Flag,
  frame,
  FrameType,
  headers,
  PREFACE,
  settings,
} from "../support/http2_client_frames.ts";
import { framesFrom, hasFrame } from "../support/http2_server_frames.ts";
import { get, GET_HEALTH, RawSocket } from "../support/raw_socket.ts";
import { nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer, type TestServer, WITHOUT_TIMEOUTS } from "../support/server.ts";

const GET_HEALTH_PATH = "/treasury.v1.Health/GetHealth";
const WATCH = "/treasury.v1.Health/WatchHealth";
const CHECK = "/grpc.health.v1.Health/Check";

/** RPCs that wait for ever, and a probe that does not. */
function endlessRoutes(router: ConnectRouter): void {
  const until = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  router.service(Health, {
    getHealth: (_request, { signal }) => until(signal),
    async *watchHealth(_request, { signal }) {
      yield {};
      await until(signal);
    },
  });
  router.service(GrpcHealth, { check: () => ({}) });
}

/** Takes all places of a server that has two of them. */
async function fill(server: TestServer): Promise<RawSocket> {
  const socket = await RawSocket.connect(server.port);
  socket.write(Buffer.concat([CONNECTION_START, grpcCall(1, WATCH), grpcCall(3, GET_HEALTH_PATH)]));
  await eventually(() => server.server.calls.inProgress === 2, { what: "all places are taken" });
  return socket;
}

for (const wire of WIRES) {
  Deno.test(`call limit: ${nameOf(wire)}: one too many is UNAVAILABLE, with RetryInfo`, async () => {
    await using server = await startServer({ maxConcurrentCalls: 2 }, endlessRoutes);
    await using _others = await fill(server);
    await using connection = new RpcConnection(server.url, wire);
    const client = connection.client(Health);
    const isRefusal = (error: unknown) => {
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, Code.Unavailable);
      const [info] = error.findDetails(RetryInfoSchema);
      assert.equal(info?.retryDelay?.seconds, 1n);
      return true;
    };
    await assert.rejects(client.getHealth({}), isRefusal);
    await assert.rejects(async () => {
      for await (const _ of client.watchHealth({}));
    }, isRefusal);
    assert.equal(server.server.calls.refused, 2);

    await connection.client(GrpcHealth).check({});
  });
}

Deno.test("call limit: plain HTTP gets 503 with Retry-After, probes are answered", async () => {
  await using server = await startServer({ maxConcurrentCalls: 2 }, endlessRoutes);
  const others = await fill(server);
  const response = await fetch(server.url);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.match(await response.text(), /^503 Service Unavailable: the server is busy/);
  for (const path of ["/livez", "/readyz"]) {
    const probe = await fetch(new URL(path, server.url));
    assert.equal(probe.status, 200, path);
    await probe.text();
  }
  await others[Symbol.asyncDispose]();
  await eventually(() => server.server.calls.inProgress === 0, { what: "the places are free" });
  const served = await fetch(server.url);
  assert.equal(served.status, 200);
  await served.text();
});

Deno.test("call limit: every place is free again, however a call ended", async () => {
  await using server = await startServer({ maxConcurrentCalls: 50 });
  const bodies = [
    get("/livez"),
    get("/missing"),
    GET_HEALTH,
    GET_HEALTH.slice(0, -1), // its client leaves in the middle
    get("/livez").replace("GET", "HEAD"),
    `${get("/")}${get("/")}${get("/")}`,
    Buffer.concat([CONNECTION_START, grpcCall(1, WATCH), grpcCall(3, GET_HEALTH_PATH)]),
    Buffer.concat([CONNECTION_START, headers(1, grpcHeader(GET_HEALTH_PATH))]),
  ];
  for (let round = 0; round < 20; round++) {
    await Promise.all(bodies.map(async (bytes) => {
      await using socket = await RawSocket.connect(server.port);
      socket.write(bytes);
      if (round % 2 === 0) {
        await eventually(() => socket.received.length > 0 || bytes === bodies[3], {
          what: "the server has read it",
        });
      }
    }));
  }
  await eventually(() => server.server.calls.inProgress === 0, { what: "all places are free" });
});

Deno.test("call limit: an answer that its client does not read is abandoned", async () => {
  await using server = await startServer({ ...WITHOUT_TIMEOUTS, idleTimeoutMs: 400 });
  await using socket = await RawSocket.connect(server.port);
  socket.write(Buffer.concat([PREFACE, settings([[4, 0]]), grpcCall(1, GET_HEALTH_PATH)]));
  // PINGs are answered: the client is alive.
  await eventually(() => {
    const pings = framesFrom(socket).filter(({ type, flags }) =>
      type === FrameType.PING && (flags & Flag.ACK) === 0
    );
    for (const { payload } of pings) {
      socket.write(frame(FrameType.PING, { flags: Flag.ACK, payload }));
    }
    return hasFrame(socket, FrameType.RST_STREAM, 1);
  }, { what: "the stream is reset" });
  assert.equal(server.server.calls.stalled, 1);
  await eventually(() => server.server.calls.inProgress === 0, { what: "its place is free" });
});

Deno.test("call limit: a stream that waits for events is not abandoned", async () => {
  await using server = await startServer({ ...WITHOUT_TIMEOUTS, idleTimeoutMs: 200 });
  await using connection = new RpcConnection(server.url, WIRES.at(-1)!);
  const leaving = new AbortController();
  const { signal } = leaving;
  const watched = assert.rejects(async () => {
    for await (const _ of connection.client(Health).watchHealth({}, { signal }));
  });
  await eventually(() => server.server.calls.inProgress === 1, { what: "the stream runs" });
  // Looks at what stalls come every 50 ms; the answers of these requests end many of them.
  for (let count = 0; count < 20; count++) {
    await (await fetch(new URL("/livez", server.url))).text();
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  assert.equal(server.server.calls.inProgress, 1);
  assert.equal(server.server.calls.stalled, 0);
  leaving.abort();
  await watched;
});

Deno.test("call limit: an HTTP/1.1 client that reads nothing is cut off", async () => {
  await using server = await startServer({ ...WITHOUT_TIMEOUTS, idleTimeoutMs: 500 });
  const socket = await Deno.connect({ port: server.port });
  const bytes = new TextEncoder().encode(get("/status.js").repeat(400));
  const sent = socket.write(bytes).catch(() => {});
  await eventually(() => server.server.calls.stalled === 1, { what: "the answer is given up" });
  await eventually(() => server.server.connections === 0, { what: "the connection is cut" });
  await sent;
  socket.close();
});

Deno.test("reserve: probes are answered above the limit of connections, others refused", async () => {
  await using server = await startServer({ ...WITHOUT_TIMEOUTS, maxConnections: 1 });
  await using first = await RawSocket.connect(server.port);
  first.write(GET_HEALTH);
  assert.equal((await first.readResponse()).status, 200);

  await using probe = await RawSocket.connect(server.port);
  probe.write(get("/readyz"));
  const ready = await probe.readResponse();
  assert.equal(ready.status, 200);
  assert.equal(ready.header.get("connection"), "close");
  await probe.closedByServer();

  await using other = await RawSocket.connect(server.port);
  other.write(GET_HEALTH);
  const refusal = await other.readResponse();
  assert.equal(refusal.status, 503);
  assert.equal(JSON.parse(refusal.body).code, "unavailable");
  await other.closedByServer();

  await using grpc = await RawSocket.connect(server.port);
  grpc.write(Buffer.concat([CONNECTION_START, grpcCall(1, CHECK), grpcCall(3, WATCH)]));
  await eventually(() => [1, 3].every((stream) => endedStreams(grpc).includes(stream)), {
    what: "the probe is answered and the call refused",
  });
  await grpc.closedByServer();

  first.write(GET_HEALTH);
  assert.equal((await first.readResponse()).status, 200);
});

Deno.test("reserve: the newest connection is accepted, however many idle ones there are", async () => {
  await using server = await startServer({ ...WITHOUT_TIMEOUTS, maxConnections: 1 });
  await using stack = new AsyncDisposableStack();
  for (let count = 0; count < 100; count++) stack.use(await RawSocket.connect(server.port));
  await eventually(() => server.server.connections <= 65, { what: "the oldest give way" });
  await using probe = await RawSocket.connect(server.port);
  probe.write(get("/livez"));
  assert.equal((await probe.readResponse()).status, 200);
});

function endedStreams(socket: RawSocket): number[] {
  return framesFrom(socket)
    .filter(({ type, flags }) =>
      type === FrameType.RST_STREAM ||
      ((type === FrameType.HEADERS || type === FrameType.DATA) && (flags & Flag.END_STREAM) !== 0)
    )
    .map(({ stream }) => stream);
}
