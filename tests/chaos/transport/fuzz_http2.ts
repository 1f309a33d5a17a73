import { Buffer } from "node:buffer";
import { CONNECTION_START, grpcCall, grpcHeader, grpcMessage } from "../../support/http2_client.ts";
import {
  Flag,
  frame,
  FrameType,
  goaway,
  headers,
  PREFACE,
  rstStream,
  settings,
  windowUpdate,
} from "../../support/http2_client_frames.ts";
import { GET_HEALTH } from "./paths.ts";
import type { Random } from "./random.ts";

/** A valid client: some gRPC calls, and frames that a client may send in between. */
export function http2Frames(random: Random): Buffer[] {
  const calls = Array.from({ length: 1 + random.below(4) }, (_, index) => {
    const stream = 1 + 2 * index;
    return [
      headers(stream, grpcHeader(GET_HEALTH)),
      frame(FrameType.DATA, { stream, flags: Flag.END_STREAM, payload: grpcMessage() }),
      ...(random.chance(0.3) ? [windowUpdate(0, 1 + random.below(1_000))] : []),
      ...(random.chance(0.3) ? [frame(FrameType.PING, { payload: random.bytes(8) })] : []),
    ];
  });
  return [PREFACE, settings(), ...calls.flat(), goaway()];
}

/** What no client may send in a session, or only so much of; by name. Streams up to 3 are in use. */
export const HTTP2_ATTACKS: Readonly<Record<string, (random: Random) => Buffer>> = {
  "SETTINGS flood": (random) => repeat(2_000 + random.below(2_000), () => settings([[4, 65_535]])),
  "PING flood": (random) =>
    repeat(2_000 + random.below(2_000), () => frame(FrameType.PING, { payload: random.bytes(8) })),
  "PRIORITY flood": () =>
    repeat(
      2_000,
      (index) => frame(FrameType.PRIORITY, { stream: 5 + index, payload: Buffer.alloc(5) }),
    ),
  "empty DATA flood": () =>
    Buffer.concat([
      headers(5, grpcHeader(GET_HEALTH)),
      repeat(2_000, () => frame(FrameType.DATA, { stream: 5 })),
    ]),
  "CONTINUATION flood": (random) =>
    Buffer.concat([
      frame(FrameType.HEADERS, { stream: 5 }),
      repeat(500, () => frame(FrameType.CONTINUATION, { stream: 5, payload: random.bytes(1_000) })),
    ]),
  "empty CONTINUATION flood": () =>
    Buffer.concat([
      frame(FrameType.HEADERS, { stream: 5 }),
      repeat(2_000, () => frame(FrameType.CONTINUATION, { stream: 5 })),
    ]),
  "rapid reset": (random) =>
    repeat(500 + random.below(500), (index) => {
      const stream = 5 + 2 * index;
      return Buffer.concat([headers(stream, grpcHeader(GET_HEALTH)), rstStream(stream)]);
    }),
  "too many streams": () => repeat(300, (index) => headers(5 + 2 * index, grpcHeader(GET_HEALTH))),
  "window overflow of the connection": () => repeat(2, () => windowUpdate(0, 0x7fffffff)),
  "window overflow of a stream": () =>
    Buffer.concat([
      headers(5, grpcHeader(GET_HEALTH)),
      repeat(2, () => windowUpdate(5, 0x7fffffff)),
    ]),
  "window update of nothing": () => windowUpdate(0, 0),
  "more data than the window": () =>
    Buffer.concat([
      headers(5, grpcHeader(GET_HEALTH)),
      repeat(20, () => frame(FrameType.DATA, { stream: 5, payload: Buffer.alloc(16_384) })),
    ]),
  "header that is too large": (random) => {
    const large = Array.from(
      { length: 40 },
      (_, n) => [`x-${n}`, "x".repeat(300 + random.below(99))] as const,
    );
    return headers(5, [...grpcHeader(GET_HEALTH), ...large], Flag.END_STREAM);
  },
  "bad HPACK": (random) =>
    frame(FrameType.HEADERS, {
      stream: 5,
      flags: Flag.END_HEADERS,
      payload: random.bytes(1 + random.below(200)),
    }),
  "HPACK index of nothing": () =>
    frame(FrameType.HEADERS, {
      stream: 5,
      flags: Flag.END_HEADERS,
      payload: Buffer.of(0xff, 0xff, 0x7f),
    }),
  "HPACK bomb": () =>
    // One large entry in the dynamic table, then thousands of references to it.
    frame(FrameType.HEADERS, {
      stream: 5,
      flags: Flag.END_HEADERS | Flag.END_STREAM,
      payload: Buffer.concat([
        Buffer.of(0x40, 1, 0x78, 127, 0xa1, 0x1e),
        Buffer.alloc(4_000, "x"),
        Buffer.alloc(12_000, 0xbe),
      ]),
    }),
  "frame that is too large": () =>
    frame(FrameType.DATA, { stream: 5, payload: Buffer.alloc(20_000) }),
  "SETTINGS of 5 octets": () => frame(FrameType.SETTINGS, { payload: Buffer.alloc(5) }),
  "SETTINGS with bad values": (random) =>
    settings([random.pick([[4, 0xffffffff], [5, 0], [2, 7], [5, 0xffffffff]] as const)]),
  "SETTINGS without a window": () => Buffer.concat([settings([[4, 0]]), grpcCall(5, GET_HEALTH)]),
  "PING of 7 octets": () => frame(FrameType.PING, { payload: Buffer.alloc(7) }),
  "PUSH_PROMISE": () => frame(FrameType.PUSH_PROMISE, { stream: 5, payload: Buffer.alloc(4) }),
  "unknown frames": (random) =>
    repeat(20, () => frame(10 + random.below(246), { stream: 5, payload: random.bytes(9) })),
  "padding beyond the frame": () =>
    Buffer.concat([
      headers(5, grpcHeader(GET_HEALTH)),
      frame(FrameType.DATA, { stream: 5, flags: Flag.PADDED, payload: Buffer.of(200, 0, 0) }),
    ]),
  "stream that depends on itself": () =>
    frame(FrameType.PRIORITY, { stream: 5, payload: Buffer.of(0, 0, 0, 5, 1) }),
  "DATA on an idle stream": () => frame(FrameType.DATA, { stream: 99, payload: Buffer.alloc(5) }),
  "RST_STREAM on an idle stream": () => rstStream(99),
  "even stream": () => grpcCall(6, GET_HEALTH),
  "stream 0": () => headers(0, grpcHeader(GET_HEALTH)),
  "header without pseudo-fields": () =>
    headers(5, [["content-type", "application/grpc"]], Flag.END_STREAM),
  "pseudo-field at the end": () =>
    headers(5, [...grpcHeader(GET_HEALTH), [":path", "/livez"]], Flag.END_STREAM),
  "upper-case field": () =>
    headers(5, [...grpcHeader(GET_HEALTH), ["X-Upper", "1"]], Flag.END_STREAM),
  "connection-specific fields": () =>
    headers(5, [...grpcHeader(GET_HEALTH), ["connection", "close"], [
      "transfer-encoding",
      "chunked",
    ]]),
  "control characters in fields": () =>
    headers(5, [...grpcHeader(GET_HEALTH), ["x-evil", "a\r\nb: c\0"]], Flag.END_STREAM),
  "content-length that is wrong": () =>
    Buffer.concat([
      headers(5, [...grpcHeader(GET_HEALTH), ["content-length", "3"]]),
      frame(FrameType.DATA, { stream: 5, flags: Flag.END_STREAM, payload: grpcMessage() }),
    ]),
  "request without an end": () => headers(5, grpcHeader(GET_HEALTH)),
  "CONNECT": () => headers(5, [[":method", "CONNECT"], [":authority", "localhost:22"]]),
};

/** A session that is valid but for one attack. */
export function http2Attack(attack: string, random: Random): Buffer {
  return Buffer.concat([
    CONNECTION_START,
    grpcCall(1, GET_HEALTH),
    ...(random.chance(0.5) ? [grpcCall(3, GET_HEALTH)] : []),
    HTTP2_ATTACKS[attack]!(random),
    ...(random.chance(0.5) ? [grpcCall(2_001, GET_HEALTH)] : []),
  ]);
}

function repeat(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}
