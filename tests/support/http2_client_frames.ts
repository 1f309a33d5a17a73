import { Buffer } from "node:buffer";

/** Frame types of HTTP/2 (RFC 9113, section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Frame flags (RFC 9113, section 6). ACK and END_STREAM share a value. */
export const Flag = { ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

/** Error codes (RFC 9113, section 7). */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  FRAME_SIZE_ERROR: 6,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
} as const;

/** What a client sends first (RFC 9113, section 3.4), without its SETTINGS frame. */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Octets before the payload of a frame (RFC 9113, section 4.1). */
export const FRAME_HEADER_BYTES = 9;

/** A frame as it goes over the wire; any type, flags and payload can be had, also wrong ones. */
export function frame(
  type: number,
  { flags = 0, stream = 0, payload = Buffer.alloc(0) }: {
    flags?: number;
    stream?: number;
    payload?: Uint8Array;
  } = {},
): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** A SETTINGS frame; without settings it means the defaults. */
export function settings(values: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(values.length * 6);
  values.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return frame(FrameType.SETTINGS, { payload });
}

export function goaway(lastStream = 0, code: number = ErrorCode.NO_ERROR): Buffer {
  return frame(FrameType.GOAWAY, { payload: uint32s(lastStream, code) });
}

export function rstStream(stream: number, code: number = ErrorCode.CANCEL): Buffer {
  return frame(FrameType.RST_STREAM, { stream, payload: uint32s(code) });
}

export function ping(): Buffer {
  return frame(FrameType.PING, { payload: Buffer.alloc(8) });
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, { stream, payload: uint32s(increment) });
}

/** A HEADERS frame that holds the whole header. */
export function headers(
  stream: number,
  fields: readonly (readonly [name: string, value: string])[],
  flags: number = 0,
): Buffer {
  return frame(FrameType.HEADERS, {
    stream,
    flags: flags | Flag.END_HEADERS,
    payload: hpack(fields),
  });
}

/** HPACK without the tables: literals that are not indexed (RFC 7541, section 6.2.2). */
export function hpack(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.of(0), hpackString(name), hpackString(value)]),
  );
}

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([hpackLength(bytes.length), bytes]);
}

/** An integer with a 7-bit prefix (RFC 7541, section 5.1). */
function hpackLength(length: number): Buffer {
  if (length < 127) return Buffer.of(length);
  const octets = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>>= 7) octets.push(rest & 127 | 128);
  return Buffer.from([...octets, rest]);
}

function uint32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32BE(value, index * 4));
  return bytes;
}
