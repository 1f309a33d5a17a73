import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall, grpcHeader } from "../support/http2_client.ts";
import { Flag, frame, FrameType, headers } from "../support/http2_client_frames.ts";
import { framesFrom } from "../support/http2_server_frames.ts";
import { GET_HEALTH, post, RawSocket } from "../support/raw_socket.ts";
import { assertUnharmed, startServer } from "../support/server.ts";

const PATH = "/treasury.v1.Health/GetHealth";
const IMPATIENT = { headerTimeoutMs: 1_000, requestTimeoutMs: 1_200 };

Deno.test("slow clients: a silent connection is closed", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("slow clients: half a preface is closed", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write("PR");
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("slow clients: half a header is answered with 408 and closed", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write("GET /livez HTTP/1.1\r\nHost: lo");
  assert.equal((await socket.readResponse()).status, 408);
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("slow clients: a header that drips is closed (slow loris)", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write("GET /livez HTTP/1.1\r\nHost: localhost\r\n");
  await eventually(() => {
    socket.write("X-Drip: 1\r\n");
    return socket.ended;
  }, { what: "the server closes the connection" });
  await assertUnharmed(server);
});

Deno.test("slow clients: half a header after a whole request is closed", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write(GET_HEALTH);
  assert.equal((await socket.readResponse()).status, 200);
  socket.write(GET_HEALTH.slice(0, 20));
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("slow clients: half a body over HTTP/1.1", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write(post(PATH, "{}", { "Content-Length": "100" }));
  const { status, body } = await socket.readResponse();
  assert.ok(status === 408 || status === 504, `${status} ${body}`);
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("slow clients: half a body to a path that takes none", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write(post("/livez", "{}", { "Content-Length": "100" }));
  assert.equal((await socket.readResponse()).status, 405);
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("slow clients: half a body over HTTP/2 ends the stream, not the session", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write(Buffer.concat([
    CONNECTION_START,
    headers(1, grpcHeader(PATH)),
    frame(FrameType.DATA, { stream: 1, payload: Buffer.of(0, 0) }),
  ]));
  const hasEnded = (stream: number) =>
    framesFrom(socket).some((each) =>
      each.stream === stream &&
      (each.type === FrameType.RST_STREAM || (each.flags & Flag.END_STREAM) !== 0)
    );
  await eventually(() => hasEnded(1), { what: "the half request has ended" });
  socket.write(grpcCall(3, PATH));
  await eventually(() => hasEnded(3), { what: "the next request has ended" });
  assert.match(socket.received.toString("latin1"), /Service is fully operational/);
  await socket[Symbol.asyncDispose]();
  await assertUnharmed(server);
});

Deno.test("slow clients: a body that drips over HTTP/2 ends the stream", async () => {
  await using server = await startServer(IMPATIENT);
  await using socket = await RawSocket.connect(server.port);
  socket.write(Buffer.concat([
    CONNECTION_START,
    headers(1, grpcHeader(PATH)),
    frame(FrameType.DATA, { stream: 1, payload: Buffer.of(0, 0, 0, 255, 255) }),
  ]));
  await eventually(() => {
    socket.write(frame(FrameType.DATA, { stream: 1, payload: Buffer.of(0) }));
    return framesFrom(socket).some(({ stream, type, flags }) =>
      stream === 1 && (type === FrameType.RST_STREAM || (flags & Flag.END_STREAM) !== 0)
    );
  }, { what: "the dripping request has ended" });
  await socket[Symbol.asyncDispose]();
  await assertUnharmed(server);
});

Deno.test("slow clients: a header may not take longer than the whole request", async () => {
  await using server = await startServer({ headerTimeoutMs: 600_000, requestTimeoutMs: 400 });
  await using socket = await RawSocket.connect(server.port);
  socket.write("GET /livez HTTP/1.1\r\nHost: lo");
  assert.equal((await socket.readResponse()).status, 408);
  await socket.closedByServer();
  await assertUnharmed(server);
});
