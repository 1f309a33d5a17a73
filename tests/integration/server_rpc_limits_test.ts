import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcHeader, grpcMessage } from "../support/http2_client.ts";
import {
  Flag,
  frame,
  FrameType,
  headers,
  PREFACE,
  rstStream,
  settings,
} from "../support/http2_client_frames.ts";
import { Http2Session } from "../support/http2_session.ts";
import { framesFrom, hasFrame } from "../support/http2_server_frames.ts";
import { RawSocket } from "../support/raw_socket.ts";
import { nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer } from "../support/server.ts";
import { Health } from "../../gen/treasury/v1/health_pb.ts";

const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

for (
  const [kind, message] of [
    ["announced", Buffer.of(0, 0x40, 0, 0, 0)],
    ["sent", grpcMessage(Buffer.alloc(2_000))],
  ] as const
) {
  Deno.test(`a stream of requests with a message that is too large (${kind}) is reset`, async () => {
    await using server = await startServer({ maxRequestBytes: 1_000 });
    await using socket = await RawSocket.connect(server.port);
    socket.write(Buffer.concat([
      CONNECTION_START,
      headers(1, grpcHeader(REFLECTION)),
      frame(FrameType.DATA, { stream: 1, payload: message }),
    ]));
    // The client goes on sending: it must be told to stop (RFC 9113, section 8.1).
    await eventually(() => hasFrame(socket, FrameType.RST_STREAM, 1), { what: "it is reset" });
    const order = framesFrom(socket).filter(({ stream }) => stream === 1).map(({ type }) => type);
    const { HEADERS, RST_STREAM } = FrameType;
    assert.deepEqual(order, [HEADERS, HEADERS, RST_STREAM], "header, trailers, reset");
    await eventually(() => server.server.calls.inProgress === 0, { what: "its place is free" });
  });
}

Deno.test("a client that leaves an open stream of requests is no fault of the server", async () => {
  for (const leave of ["reset", "close"] as const) {
    await using server = await startServer();
    await using socket = await RawSocket.connect(server.port);
    const listServices = grpcMessage(Buffer.from("3a00", "hex"));
    socket.write(Buffer.concat([
      CONNECTION_START,
      headers(1, grpcHeader(REFLECTION)),
      frame(FrameType.DATA, { stream: 1, payload: listServices }),
    ]));
    await eventually(() => hasFrame(socket, FrameType.DATA, 1), { what: "the stream answers" });
    if (leave === "reset") socket.write(rstStream(1));
    else await socket[Symbol.asyncDispose]();
    const record = await eventually(() => server.logs.find(({ event }) => event === "request"), {
      what: "the request is logged",
    });
    assert.equal(record.code, "canceled", leave);
    assert.equal(record.level, "info", leave);
    assert.deepEqual(server.logs.filter(({ event }) => event === "rpc.failed"), []);
  }
});

for (const [name, value] of [["grpc-timeout", "597H"], ["grpc-timeout", "99999999H"]] as const) {
  for (const path of ["/treasury.v1.Health/GetHealth", REFLECTION]) {
    Deno.test(`${name}: ${value} is longer than any timer, and waits for ${path}`, async () => {
      await using server = await startServer();
      await using socket = await RawSocket.connect(server.port);
      socket.write(Buffer.concat([
        CONNECTION_START,
        headers(1, [...grpcHeader(path), [name, value]]),
        frame(FrameType.DATA, {
          stream: 1,
          flags: Flag.END_STREAM,
          payload: path === REFLECTION ? grpcMessage(Buffer.from("3a00", "hex")) : grpcMessage(),
        }),
      ]));
      await eventually(() => hasFrame(socket, FrameType.DATA, 1), { what: "the answer comes" });
    });
  }
}

for (const wire of WIRES.filter(({ protocol }) => protocol === "connect")) {
  Deno.test(`connect-timeout-ms beyond any timer: ${nameOf(wire)}`, async () => {
    await using server = await startServer();
    await using connection = new RpcConnection(server.url, wire, {
      interceptors: [(next) => (request) => {
        request.header.set("connect-timeout-ms", "2147483648");
        return next(request);
      }],
    });
    assert.ok((await connection.client(Health).getHealth({})).message);
  });
}

Deno.test("a polite client whose request is too large takes no place for good", async () => {
  await using server = await startServer({ maxRequestBytes: 1_000 });
  for (const type of ["application/json", "application/grpc"]) {
    await using session = new Http2Session(server.url);
    for (let count = 0; count < 5; count++) {
      const stream = session.request({
        ":method": "POST",
        ":path": "/treasury.v1.Health/GetHealth",
        "content-type": type,
      });
      stream.resume().end(Buffer.alloc(200_000));
      await eventually(() => stream.closed || stream.readableEnded, { what: "it is answered" });
    }
  }
  await eventually(() => server.server.calls.inProgress === 0, { what: "all places are free" });
  await eventually(() => server.server.connections === 0, { what: "no connection is held" });
});

Deno.test("resets of every kind take no place for good, and are no errors", async () => {
  await using server = await startServer({ maxRequestBytes: 1_000 });
  const paths = ["/treasury.v1.Health/GetHealth", "/treasury.v1.Health/WatchHealth", REFLECTION];
  for (let round = 0; round < 30; round++) {
    await using socket = await RawSocket.connect(server.port);
    const calls = Array.from({ length: 12 }, (_, index) => {
      const stream = 1 + 2 * index;
      const body = frame(FrameType.DATA, {
        stream,
        payload: grpcMessage(Buffer.alloc(100 * (index % 4) ** 3)),
        flags: index % 2,
      });
      const call = headers(stream, grpcHeader(paths[index % 3]!));
      return Buffer.concat([call, index % 5 === 0 ? Buffer.alloc(0) : body, rstStream(stream)]);
    });
    const start = round % 2 === 0 ? CONNECTION_START : Buffer.concat([PREFACE, settings([[4, 0]])]);
    socket.write(start);
    for (const call of calls) {
      socket.write(round % 3 === 0 ? call : call.subarray(0, -13));
      if (round % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (round % 3 !== 0) socket.write(rstStream(1));
  }
  await eventually(() => server.server.calls.inProgress === 0, { what: "all places are free" });
  await eventually(() => server.server.connections === 0, { what: "no connection is held" });
  assert.deepEqual(server.logs.filter(({ event }) => event === "request.failed"), []);
});

Deno.test("a GET whose message is no base64 is INVALID_ARGUMENT", async () => {
  await using server = await startServer();
  const query = "encoding=json&base64=1&message=%21%21";
  const response = await fetch(new URL(`/treasury.v1.Health/GetHealth?${query}`, server.url));
  assert.equal(response.status, 400);
  assert.equal((await response.json()).code, "invalid_argument");
});

Deno.test("polls that go well are logged at debug, but for one now and then", async () => {
  await using server = await startServer();
  await using connection = new RpcConnection(server.url, WIRES[0]);
  for (let count = 0; count < 5; count++) await connection.client(Health).getHealth({});
  const records = () => server.logs.filter(({ event }) => event === "request");
  await eventually(() => records().length === 5, { what: "all are logged" });
  const levels = records().map(({ level }) => level);
  assert.deepEqual(levels, ["info", "debug", "debug", "debug", "debug"]);
});
