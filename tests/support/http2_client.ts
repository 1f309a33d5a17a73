import { Buffer } from "node:buffer";
import { Flag, frame, FrameType, headers, PREFACE, settings } from "./http2_client_frames.ts";

/** What a client sends before its first request. */
export const CONNECTION_START: Buffer = Buffer.concat([
  PREFACE,
  settings(),
  frame(FrameType.SETTINGS, { flags: Flag.ACK }),
]);

/** A gRPC message: not compressed, its length, its bytes. */
export function grpcMessage(message: Uint8Array = new Uint8Array()): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Header fields of a gRPC request. */
export function grpcHeader(path: string): (readonly [name: string, value: string])[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "localhost"],
    [":path", path],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ];
}

/** A whole gRPC request with an empty message. */
export function grpcCall(stream: number, path: string): Buffer {
  return Buffer.concat([
    headers(stream, grpcHeader(path)),
    frame(FrameType.DATA, { stream, flags: Flag.END_STREAM, payload: grpcMessage() }),
  ]);
}
