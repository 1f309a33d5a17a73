import { Buffer } from "node:buffer";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import {
  CONNECTION_START,
  grpcCall,
  grpcHeader,
  grpcMessage,
  RawHttp2Client,
} from "../tests/support/http2_client.ts";
import {
  frame,
  FrameType,
  goaway,
  headers,
  ping,
  windowUpdate,
} from "../tests/support/http2_client_frames.ts";
import { GET_HEALTH, WATCH_HEALTH } from "../tests/chaos/transport/paths.ts";
import { crowd } from "../tests/support/crowd.ts";
import { post } from "../tests/support/raw_socket.ts";

/** Where clients connect. */
export interface Target {
  readonly port: number;
  readonly http1Port: number;
  /** The CA of the server certificate, as PEM; undefined in cleartext. */
  readonly ca: string | undefined;
}

/** A way in which clients connect and disconnect. */
export interface ConnectionKind {
  readonly title: string;
  /** Runs this many clients; `onDone` is called after each. */
  run(target: Target, count: number, onDone: () => void): Promise<void>;
}

/** grpc-health-probe and the kubelet's gRPC probe call this. */
const CHECK = "/grpc.health.v1.Health/Check";
const AT_ONCE = 16;
/**
 * Far more than a client needs, so that a server that does not answer does not block the benchmark.
 */
const VISIT_TIMEOUT_MS = 20_000;
/** Maximum window of a connection (RFC 9113, section 6.9.1); the initial one is 65,535 octets. */
const WIDE_WINDOW = windowUpdate(0, 2 ** 31 - 1 - 65_535);

const PROBE = Buffer.concat([CONNECTION_START, grpcCall(1, CHECK)]);
const HALF_CALL = Buffer.concat([
  CONNECTION_START,
  headers(1, grpcHeader(GET_HEALTH)),
  frame(FrameType.DATA, { stream: 1, payload: grpcMessage().subarray(0, 3) }),
  ping(),
]);
const WATCH = Buffer.concat([CONNECTION_START, grpcCall(1, WATCH_HEALTH)]);
const HTTP1_CALL = post(GET_HEALTH, "{}");

/** What a gRPC probe does: a new connection, one call, GOAWAY, close. */
export const PROBES: ConnectionKind = http2Visits("gRPC probe, GOAWAY", async (client) => {
  client.socket.write(PROBE);
  await client.until(() => client.endedStreams === 1);
  assertOpen(client);
  client.socket.end(goaway());
  await client.closed();
});

/** A gRPC client that closes its connection without a GOAWAY. */
export const SILENT_LEAVERS: ConnectionKind = http2Visits("gRPC, close", async (client) => {
  client.socket.write(PROBE);
  await client.until(() => client.endedStreams === 1);
  assertOpen(client);
});

/** A client that disconnects while its Watch is open. */
export const WATCHERS: ConnectionKind = http2Visits("leaves an open Watch", async (client) => {
  client.socket.write(WATCH);
  await client.until(() => client.answeredStreams > 0);
  assertOpen(client);
});

/** An HTTP/1.1 client with one request. */
export const HTTP1_CALLS: ConnectionKind = visits(
  "HTTP/1.1, one call",
  ({ http1Port, ca }, signal) => {
    return visitSocket(http1Port, ca, signal, async (socket) => {
      socket.write(HTTP1_CALL);
      await once(socket, "data", { signal });
    });
  },
);

/** All kinds of connections that are measured. */
export const CONNECTION_KINDS: readonly ConnectionKind[] = [
  HTTP1_CALLS,
  visits("connect and close", ({ http1Port, ca }, signal) => {
    return visitSocket(http1Port, ca, signal, () => Promise.resolve());
  }),
  { title: "calls on one connection", run: callOnOneConnection },
  PROBES,
  SILENT_LEAVERS,
  http2Visits("gRPC, half-closed", async (client) => {
    client.socket.end(PROBE);
    await client.until(() => client.endedStreams === 1);
  }),
  http2Visits("HTTP/2 preface, no more", async (client) => {
    client.socket.write(CONNECTION_START);
    await client.until(() => client.frames > 0);
    assertOpen(client);
  }),
  http2Visits("leaves in mid-call", async (client) => {
    client.socket.write(HALF_CALL);
    await client.until(() => client.pongs > 0);
    assertOpen(client);
  }),
  WATCHERS,
];

function visits(
  title: string,
  visit: (target: Target, signal: AbortSignal) => Promise<void>,
): ConnectionKind {
  return {
    title,
    async run(target, count, onDone) {
      const visitOnce = async () => {
        await visit(target, AbortSignal.timeout(VISIT_TIMEOUT_MS));
        onDone();
      };
      await crowd(Array.from({ length: count }, () => visitOnce), AT_ONCE);
    },
  };
}

function http2Visits(
  title: string,
  visit: (client: RawHttp2Client) => Promise<void>,
): ConnectionKind {
  return visits(title, async (target, signal) => {
    await using client = await openHttp2(target, signal);
    await visit(client);
  });
}

async function callOnOneConnection(
  target: Target,
  count: number,
  onDone: () => void,
): Promise<void> {
  await using client = await openHttp2(target);
  client.socket.write(Buffer.concat([CONNECTION_START, WIDE_WINDOW]));
  for (let done = 0; done < count; done = client.endedStreams) {
    const calls = Math.min(AT_ONCE, count - done);
    client.socket.write(Buffer.concat(
      Array.from({ length: calls }, (_, index) => grpcCall(2 * (done + index) + 1, GET_HEALTH)),
    ));
    await client.until(() => client.endedStreams === done + calls);
    assertOpen(client);
    for (let call = 0; call < calls; call++) onDone();
  }
}

function openHttp2({ port, ca }: Target, signal?: AbortSignal): Promise<RawHttp2Client> {
  return ca === undefined
    ? RawHttp2Client.connect(port, signal)
    : RawHttp2Client.connectTls(port, ca, signal);
}

/** Opens an HTTP/1.1 connection, uses it, and closes it. */
async function visitSocket(
  port: number,
  ca: string | undefined,
  signal: AbortSignal,
  use: (socket: net.Socket) => Promise<void>,
): Promise<void> {
  const address = { port, host: "127.0.0.1" };
  const socket = ca === undefined
    ? net.connect({ ...address, noDelay: true })
    : tls.connect({ ...address, servername: "localhost", ca, ALPNProtocols: ["http/1.1"] });
  socket.on("error", () => {}); // A server that dies resets its connections.
  const closed = new Promise((resolve) => socket.once("close", resolve));
  try {
    await once(socket, ca === undefined ? "connect" : "secureConnect", { signal });
    await use(socket);
  } finally {
    socket.destroy();
    await closed;
  }
}

function assertOpen(client: RawHttp2Client): void {
  if (client.socket.closed) throw new Error("the server closed the connection before its answer");
}
