import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall, grpcHeader, grpcMessage } from "../support/http2_client.ts";
import {
  ErrorCode,
  Flag,
  frame,
  FrameType,
  goaway,
  headers,
  PREFACE,
  rstStream,
  settings,
  windowUpdate,
} from "../support/http2_client_frames.ts";
import { type Frame, framesFrom, hasFrame } from "../support/http2_server_frames.ts";
import { RawSocket } from "../support/raw_socket.ts";
import { assertUnharmed, startServer, WITHOUT_TIMEOUTS } from "../support/server.ts";

const GET_HEALTH = "/treasury.v1.Health/GetHealth";
const WATCH = "/treasury.v1.Health/WatchHealth";

Deno.test("frame guard: GOAWAY is dropped, wherever the packets are torn", async () => {
  await using server = await startServer();
  for (let split = CONNECTION_START.length - 2; split < LEAVING_CALL.length; split++) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(LEAVING_CALL.subarray(0, split));
    await new Promise((resolve) => setTimeout(resolve, 1)); // a packet of its own
    socket.write(LEAVING_CALL.subarray(split));
    await eventually(() => ends(socket, 1), { what: `the call is answered, torn at ${split}` });
  }
  await assertUnharmed(server);
});

Deno.test("frame guard: every frame passes whole, a byte at a time", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  await socket.trickle(LEAVING_CALL.toString("latin1"));
  await eventually(() => ends(socket, 1), { what: "the call is answered" });
  assert.match(socket.received.toString("latin1"), /Service is fully operational/);
});

Deno.test("frame guard: a client that said GOAWAY is answered, then closed", async () => {
  await using server = await startServer({ ...WITHOUT_TIMEOUTS });
  await using socket = await RawSocket.connect(server.port);
  socket.write(Buffer.concat([CONNECTION_START, grpcCall(1, WATCH), goaway()]));
  await eventually(() => hasFrame(socket, FrameType.DATA, 1), { what: "the stream has begun" });
  socket.write(ping());
  await eventually(() => hasFrame(socket, FrameType.PING), { what: "the connection lives" });
  assert.equal(socket.ended, false);
  socket.write(rstStream(1));
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("frame guard: a client that says GOAWAY and nothing else is closed", async () => {
  await using server = await startServer({ ...WITHOUT_TIMEOUTS });
  await using socket = await RawSocket.connect(server.port);
  socket.write(Buffer.concat([CONNECTION_START, goaway()]));
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("frame guard: a GOAWAY that is none is a connection error", async () => {
  await using server = await startServer();
  const payload = Buffer.alloc(8);
  const open = headers(1, grpcHeader(WATCH));
  open[4]! &= ~Flag.END_HEADERS;
  for (
    const [bytes, code] of [
      [frame(FrameType.GOAWAY, { stream: 1, payload }), ErrorCode.PROTOCOL_ERROR],
      [frame(FrameType.GOAWAY, { payload: payload.subarray(1) }), ErrorCode.FRAME_SIZE_ERROR],
      [Buffer.concat([open, goaway()]), ErrorCode.PROTOCOL_ERROR],
    ] as const
  ) await assertCutOff(server.port, Buffer.concat([CONNECTION_START, bytes]), code);
  await assertUnharmed(server);
});

/** A client says in the middle of its request that it will make no other. */
const LEAVING_CALL = Buffer.concat([
  CONNECTION_START,
  headers(1, grpcHeader(GET_HEALTH)),
  goaway(),
  frame(FrameType.DATA, { stream: 1, flags: Flag.END_STREAM, payload: grpcMessage() }),
]);

/** What a client can send for nothing, enough of it for a budget of 500. */
const FLOODS: Readonly<Record<string, readonly Buffer[]>> = {
  "RST_STREAM (rapid reset)": Array.from(
    { length: 600 },
    (_, index) => Buffer.concat([grpcCall(1 + 2 * index, WATCH), rstStream(1 + 2 * index)]),
  ),
  "resets that the client provokes": Array.from(
    { length: 600 },
    (_, index) =>
      Buffer.concat([headers(1 + 2 * index, grpcHeader(WATCH)), windowUpdate(1 + 2 * index, 0)]),
  ),
  "PING": Array.from({ length: 600 }, () => ping()),
  "SETTINGS": Array.from({ length: 600 }, () => settings([[4, 1_000]])),
  "SETTINGS ACK": Array.from(
    { length: 600 },
    () => frame(FrameType.SETTINGS, { flags: Flag.ACK }),
  ),
  "PRIORITY": Array.from(
    { length: 600 },
    () => frame(FrameType.PRIORITY, { stream: 1, payload: Buffer.of(0, 0, 0, 3, 1) }),
  ),
  "DATA without a byte": [
    headers(1, grpcHeader(WATCH)),
    ...Array.from({ length: 600 }, () => frame(FrameType.DATA, { stream: 1 })),
  ],
  "CONTINUATION without a byte": [
    headers(1, grpcHeader(WATCH)).map((byte, index) => index === 4 ? 0 : byte) as Buffer,
    ...Array.from({ length: 600 }, () => frame(FrameType.CONTINUATION, { stream: 1 })),
  ],
  "unknown frames": Array.from({ length: 600 }, () => frame(0xfe)),
};

for (const [name, frames] of Object.entries(FLOODS)) {
  Deno.test(`frame guard: too much ${name} ends the connection`, async () => {
    await using server = await startServer({ ...WITHOUT_TIMEOUTS });
    await using socket = await RawSocket.connect(server.port);
    socket.write(Buffer.concat([CONNECTION_START, ...frames]));
    await socket.closedByServer();
    const codes = framesFrom(socket).filter(isGoaway).map(codeOf);
    // node:http2 has limits of its own, of which some come first.
    assert.ok(
      codes.some((code) =>
        [ErrorCode.ENHANCE_YOUR_CALM, ErrorCode.PROTOCOL_ERROR, 2].includes(code as never)
      ),
      `GOAWAY says why: ${codes}`,
    );
    await assertUnharmed(server);
  });
}

Deno.test("frame guard: a rapid reset is cut off with ENHANCE_YOUR_CALM", async () => {
  await using server = await startServer();
  await assertCutOff(
    server.port,
    Buffer.concat([CONNECTION_START, ...FLOODS["RST_STREAM (rapid reset)"]!]),
    ErrorCode.ENHANCE_YOUR_CALM,
  );
  await assertUnharmed(server);
});

Deno.test("frame guard: what a busy client sends is not too much", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  const updates = Array.from({ length: 20_000 }, () => windowUpdate(0, 1));
  const pings = Array.from({ length: 100 }, () => ping());
  socket.write(Buffer.concat([CONNECTION_START, ...updates, ...pings, grpcCall(1, GET_HEALTH)]));
  await eventually(() => ends(socket, 1), { what: "the call is answered" });
  // As many calls as the server allows, all given up at once, is what a client with deadlines does.
  for (let round = 0; round < 2; round++) {
    const streams = Array.from({ length: 90 }, (_, index) => 3 + 2 * (90 * round + index));
    socket.write(Buffer.concat(streams.map((stream) => grpcCall(stream, WATCH))));
    await eventually(() => hasFrame(socket, FrameType.DATA, streams.at(-1)), {
      what: "the streams have begun",
    });
    socket.write(Buffer.concat(streams.map((stream) => rstStream(stream))));
  }
  socket.write(grpcCall(1_001, GET_HEALTH));
  await eventually(() => ends(socket, 1_001), { what: "the call after the resets is answered" });
  assert.equal(hasFrame(socket, FrameType.GOAWAY), false);
});

Deno.test("frame guard: a frame above SETTINGS_MAX_FRAME_SIZE is a connection error", async () => {
  await using server = await startServer();
  const payload = Buffer.alloc(16_385);
  for (const type of [FrameType.DATA, FrameType.HEADERS, FrameType.SETTINGS, 0xfe]) {
    const bytes = Buffer.concat([CONNECTION_START, frame(type, { stream: 1, payload })]);
    await assertCutOff(server.port, bytes, ErrorCode.FRAME_SIZE_ERROR);
  }
  await assertUnharmed(server);
});

Deno.test("frame guard: a preface that is wrong gets GOAWAY, and no HTTP/1.1", async () => {
  await using server = await startServer();
  const wrong = [
    "PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n",
    "PRI /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PRIORITIES",
    `${PREFACE.toString("latin1", 0, 23)}x`,
  ];
  for (const text of wrong) {
    await assertCutOff(server.port, Buffer.from(text, "latin1"), ErrorCode.PROTOCOL_ERROR);
  }
  await assertUnharmed(server);
});

async function assertCutOff(port: number, bytes: Buffer, code: number): Promise<void> {
  await using socket = await RawSocket.connect(port);
  socket.write(bytes);
  await socket.closedByServer();
  assert.doesNotMatch(socket.received.toString("latin1"), /HTTP\/1/);
  const last = framesFrom(socket).filter(isGoaway).at(-1);
  assert.ok(last, "GOAWAY has come");
  assert.equal(codeOf(last), code);
}

function ping(): Buffer {
  return frame(FrameType.PING, { payload: Buffer.alloc(8) });
}

function isGoaway({ type }: Frame): boolean {
  return type === FrameType.GOAWAY;
}

function codeOf({ payload }: Frame): number {
  return Buffer.from(payload).readUInt32BE(4);
}

/** Whether the server has ended a stream. */
function ends(socket: RawSocket, stream: number): boolean {
  return framesFrom(socket).some((each) =>
    each.stream === stream &&
    (each.type === FrameType.RST_STREAM || (each.flags & Flag.END_STREAM) !== 0)
  );
}
