import assert from "node:assert/strict";
import { eventually } from "../../support/condition.ts";
import { CONNECTION_START, grpcCall } from "../../support/http2_client.ts";
import { Flag, FrameType, windowUpdate } from "../../support/http2_client_frames.ts";
import { type Frame, framesFrom } from "../../support/http2_server_frames.ts";
import { GET_HEALTH, RawSocket } from "../../support/raw_socket.ts";

/** Somebody who asks the service for its health until there is no service any more. */
export interface Caller {
  /** Whole answers so far. */
  readonly answered: number;
  /** Returns when the port refuses connections. */
  run(port: number): Promise<void>;
}

/** One request after the other over kept HTTP/1.1 connections. */
export class Http1Caller implements Caller {
  answered = 0;

  async run(port: number): Promise<void> {
    await untilRefused(port, async (socket) => {
      for (let isKept = true; isKept && !socket.ended;) {
        socket.write(GET_HEALTH);
        await eventually(() => socket.ended || socket.received.length > 0);
        // Closed before the service has read the request; if it had, its log would tell.
        if (socket.received.length === 0) return;
        const { status, header } = await socket.readResponse();
        assert.equal(status, 200);
        this.answered++;
        isKept = header.get("connection") !== "close";
      }
    });
  }
}

const CALLS_AT_ONCE = 4;
/** The whole window of HTTP/2 (RFC 9113, section 6.9.1), so that no answer waits for more. */
const LARGEST_WINDOW = 2 ** 31 - 1 - 65_535;

/** A few gRPC calls at a time over one HTTP/2 connection; raw, because clients hide lost answers. */
export class GrpcCaller implements Caller {
  #ended = 0;
  #frames = (): Frame[] => [];

  get answered(): number {
    return this.#ended + trailers(this.#frames()).length;
  }

  async run(port: number): Promise<void> {
    await untilRefused(port, async (socket) => {
      this.#frames = () => framesFrom(socket);
      socket.write(CONNECTION_START);
      socket.write(windowUpdate(0, LARGEST_WINDOW));
      for (let sent = 0; !socket.ended && goaway(this.#frames()) === undefined;) {
        const free = CALLS_AT_ONCE - (sent - trailers(this.#frames()).length);
        for (let call = 0; call < free; call++) {
          socket.write(grpcCall(2 * sent++ + 1, "/treasury.v1.Health/GetHealth"));
        }
        await eventually(() =>
          socket.ended || trailers(this.#frames()).length > sent - CALLS_AT_ONCE
        );
      }
      await socket.closedByServer();
      this.#ended += trailers(this.#frames()).length;
      assertPromiseKept(this.#frames());
      this.#frames = () => [];
    });
  }
}

/** Every call that the service has said it would answer has its answer (RFC 9113, section 6.8). */
function assertPromiseKept(frames: Frame[]): void {
  const last = goaway(frames);
  assert.ok(last !== undefined, "the connection ended without GOAWAY");
  const answered = new Set(trailers(frames).map(({ stream }) => stream));
  for (let stream = 1; stream <= last; stream += 2) {
    assert.ok(answered.has(stream), `stream ${stream} of ${last} has no answer`);
  }
}

/** The last stream that the service answers, when it has said so. */
function goaway(frames: Frame[]): number | undefined {
  const frame = frames.findLast(({ type }) => type === FrameType.GOAWAY);
  if (frame === undefined) return undefined;
  const { buffer, byteOffset } = frame.payload;
  return new DataView(buffer, byteOffset).getUint32(0);
}

function trailers(frames: Frame[]): Frame[] {
  return frames.filter(({ type, flags }) =>
    type === FrameType.HEADERS && (flags & Flag.END_STREAM) !== 0
  );
}

/** Uses one connection after the other until the port refuses them. */
async function untilRefused(
  port: number,
  use: (socket: RawSocket) => Promise<void>,
): Promise<void> {
  for (;;) {
    let socket: RawSocket;
    try {
      socket = await RawSocket.connect(port);
    } catch (error) {
      assert.match(String((error as { code?: string }).code), /^ECONN(REFUSED|RESET)$/);
      return;
    }
    await using _closed = socket;
    await use(socket);
  }
}
