import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall, grpcHeader } from "../support/http2_client.ts";
import {
  ErrorCode,
  Flag,
  frame,
  FrameType,
  headers,
  PREFACE,
  rstStream,
  settings,
} from "../support/http2_client_frames.ts";
import { framesFrom, hasFrame } from "../support/http2_server_frames.ts";
import { Http2Session } from "../support/http2_session.ts";
import { GET_HEALTH, RawSocket } from "../support/raw_socket.ts";
import { assertUnharmed, startServer } from "../support/server.ts";

const WATCH = "/treasury.v1.Health/WatchHealth";

Deno.test("connections: leaving is noticed, politely or not, with and without bytes", async () => {
  await using server = await startServer();
  for (const bytes of ["", "P", "GET / HT", GET_HEALTH, CONNECTION_START, watch()]) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(bytes);
    await eventually(() => server.server.connections === 1, { what: "the connection is known" });
    await socket[Symbol.asyncDispose]();
    await eventually(() => server.server.connections === 0, { what: "the connection is gone" });
  }
  await assertUnharmed(server);
});

Deno.test("connections: one too many is closed, and a freed place is taken", async () => {
  await using server = await startServer({ maxConnections: 2 });
  await using first = await RawSocket.connect(server.port);
  await using second = await RawSocket.connect(server.port);
  await assertAnswers(first);
  await assertAnswers(second);

  await using third = await RawSocket.connect(server.port);
  await third.closedByServer();
  await assertAnswers(first);

  await first[Symbol.asyncDispose]();
  await eventually(() => server.server.connections === 1, { what: "a place is free" });
  await using fourth = await RawSocket.connect(server.port);
  await assertAnswers(fourth);
});

Deno.test("connections: HTTP/2 sessions count as connections, too", async () => {
  await using server = await startServer({ maxConnections: 1 });
  {
    await using client = new Http2Session(server.url);
    await once(client.session, "connect");
    await using socket = await RawSocket.connect(server.port);
    await socket.closedByServer();
  }
  await eventually(() => server.server.connections === 0, { what: "the place is free" });
  await assertUnharmed(server);
});

Deno.test("connections: an idle HTTP/1.1 connection is closed", async () => {
  await using server = await startServer({ idleTimeoutMs: 200 });
  await using socket = await RawSocket.connect(server.port);
  await assertAnswers(socket);
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("connections: an idle HTTP/2 session is told to go", async () => {
  await using server = await startServer({ idleTimeoutMs: 200 });
  await using socket = await RawSocket.connect(server.port);
  socket.write(CONNECTION_START);
  await eventually(() => hasFrame(socket, FrameType.GOAWAY), { what: "GOAWAY has come" });
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("connections: a session is idle again after its last stream", async () => {
  await using server = await startServer({ idleTimeoutMs: 200 });
  await using client = new Http2Session(server.url);
  const closed = once(client.session, "close");
  const stream = client.request({ ":path": "/livez" });
  await once(stream.resume(), "close");
  await closed;
  await assertUnharmed(server);
});

Deno.test("connections: a quiet stream stays open while its client answers PINGs", async () => {
  await using server = await startServer({ idleTimeoutMs: 100, headerTimeoutMs: 30_000 });
  await using socket = await RawSocket.connect(server.port);
  socket.write(watch());
  let answered = 0;
  await eventually(() => {
    const pings = framesFrom(socket).filter(({ type }) => type === FrameType.PING);
    for (const { payload } of pings.slice(answered)) {
      socket.write(frame(FrameType.PING, { flags: Flag.ACK, payload }));
    }
    answered = pings.length;
    assert.equal(socket.ended, false);
    return answered >= 5;
  }, { what: "five PINGs are answered" });
  assert.equal(hasFrame(socket, FrameType.GOAWAY), false);
  assert.equal(server.server.connections, 1);
});

Deno.test("connections: a session whose client has fallen silent is cut", async () => {
  await using server = await startServer({ idleTimeoutMs: 100, headerTimeoutMs: 200 });
  await using socket = await RawSocket.connect(server.port);
  socket.write(watch());
  await eventually(() => hasFrame(socket, FrameType.PING), { what: "a PING has come" });
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("connections: streams above the limit are refused, the others are served", async () => {
  await using server = await startServer({ maxConcurrentStreams: 2 });
  await using socket = await RawSocket.connect(server.port);
  // As if the limit had not arrived yet: the server's settings are not acknowledged.
  socket.write(Buffer.concat([PREFACE, settings()]));
  for (const stream of [1, 3, 5]) socket.write(grpcCall(stream, WATCH));
  const refusal = await eventually(
    () => framesFrom(socket).find(({ type }) => type === FrameType.RST_STREAM),
    { what: "a stream is refused" },
  );
  assert.equal(refusal.stream, 5);
  assert.deepEqual([...refusal.payload], [0, 0, 0, REFUSED_STREAM]);
  await eventually(() => [1, 3].every((stream) => hasFrame(socket, FrameType.DATA, stream)));

  socket.write(rstStream(1, ErrorCode.CANCEL));
  socket.write(grpcCall(7, WATCH));
  await eventually(() => hasFrame(socket, FrameType.DATA, 7), { what: "a freed place is taken" });
  await socket[Symbol.asyncDispose]();
  await assertUnharmed(server);
});

Deno.test("connections: a client that ignores the acknowledged limit is cut off", async () => {
  await using server = await startServer({ maxConcurrentStreams: 2 });
  await using socket = await RawSocket.connect(server.port);
  socket.write(CONNECTION_START);
  await eventually(() => hasFrame(socket, FrameType.SETTINGS), { what: "the limit is known" });
  for (const stream of [1, 3, 5]) socket.write(grpcCall(stream, WATCH));
  await eventually(() => hasFrame(socket, FrameType.GOAWAY), { what: "GOAWAY has come" });
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("connections: a header that is never finished is an idle session", async () => {
  await using server = await startServer({ idleTimeoutMs: 200 });
  await using socket = await RawSocket.connect(server.port);
  const request = headers(1, grpcHeader(WATCH));
  socket.write(Buffer.concat([CONNECTION_START, request.subarray(0, request.length - 1)]));
  await socket.closedByServer();
  await assertUnharmed(server);
});

/** RFC 9113, section 7. */
const REFUSED_STREAM = 7;

/** Opens a session and a stream on which only the server has something to say. */
function watch(): Buffer {
  return Buffer.concat([CONNECTION_START, grpcCall(1, WATCH)]);
}

async function assertAnswers(socket: RawSocket): Promise<void> {
  socket.write(GET_HEALTH);
  assert.equal((await socket.readResponse()).status, 200);
}
