import { FRAME_HEADER_BYTES } from "./http2_client_frames.ts";
import type { RawSocket } from "./raw_socket.ts";

/** A frame that a server sent (RFC 9113, section 4.1). */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

/** All whole frames that have arrived at `socket`, oldest first. */
export function framesFrom(socket: RawSocket): Frame[] {
  const frames: Frame[] = [];
  for (let rest = socket.received; rest.length >= FRAME_HEADER_BYTES;) {
    const end = FRAME_HEADER_BYTES + rest.readUIntBE(0, 3);
    if (rest.length < end) break;
    frames.push({
      type: rest.readUInt8(3),
      flags: rest.readUInt8(4),
      stream: rest.readUInt32BE(5),
      payload: rest.subarray(FRAME_HEADER_BYTES, end),
    });
    rest = rest.subarray(end);
  }
  return frames;
}

/** Whether such a frame has arrived, on `stream` if one is given. */
export function hasFrame(socket: RawSocket, type: number, stream?: number): boolean {
  return framesFrom(socket).some((frame) =>
    frame.type === type && (stream === undefined || frame.stream === stream)
  );
}
