import { Buffer } from "node:buffer";

/** Frame types of RFC 9113, section 6. */
export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PING: 0x6,
  GOAWAY: 0x7,
} as const;

/** Frame flags of RFC 9113, section 6. */
export const Flag = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4 } as const;

/** What a client sends first (RFC 9113, section 3.4). */
export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The bytes of one frame. */
export function frame(
  type: number,
  flags = 0,
  streamId = 0,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** The preface and empty settings: the least that opens a session. */
export function openSession(): Buffer {
  return Buffer.concat([Buffer.from(PREFACE), frame(FrameType.SETTINGS)]);
}

/** A HEADERS frame with a POST request for `path`. */
export function postHeaders(
  streamId: number,
  path: string,
  header: Readonly<Record<string, string>> = {},
): Buffer {
  const fields = {
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    ...header,
  };
  const block = Buffer.concat(
    Object.entries(fields).flat().map(literal)
      .map((text, index) => index % 2 === 0 ? Buffer.concat([Buffer.of(0), text]) : text),
  );
  return frame(FrameType.HEADERS, Flag.END_HEADERS, streamId, block);
}

/** A string without Huffman coding and shorter than 127 bytes (RFC 7541, section 5.2). */
function literal(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
}

/** All frames that are complete in `bytes`. */
export function framesIn(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  let rest = bytes;
  while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
    const end = 9 + rest.readUIntBE(0, 3);
    frames.push({
      type: rest.readUInt8(3),
      flags: rest.readUInt8(4),
      streamId: rest.readUInt32BE(5) & 0x7fff_ffff,
      payload: rest.subarray(9, end),
    });
    rest = rest.subarray(end);
  }
  return frames;
}
