import { Buffer } from "node:buffer";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressedFlag, type Compression } from "@connectrpc/connect/protocol";

/** Length of the prefix of a message: one byte of flags and four bytes of length. */
const PREFIX_BYTES = 5;

/** Bytes that may follow the maximum message: its own prefix and one empty message. */
export const MAX_ENVELOPE_BYTES: number = 2 * PREFIX_BYTES;

/**
 * Refuses a message whose announced length is above the limit, before it arrives.
 *
 * @returns Whether enough bytes have arrived to tell.
 * @throws {ConnectError} RESOURCE_EXHAUSTED above `maxBytes`.
 */
export function refuseLargeEnvelope(start: Uint8Array, maxBytes: number): boolean {
  if (start.length < PREFIX_BYTES) return false;
  const length = lengthOf(start);
  if (length > maxBytes) {
    throw new ConnectError(
      `the request message has ${length} bytes, more than ${maxBytes}`,
      Code.ResourceExhausted,
    );
  }
  return true;
}

/**
 * Extracts the one message of a request from its length-prefixed envelope.
 *
 * Source: "Length-Prefixed-Message" of gRPC over HTTP/2.
 *
 * @throws {ConnectError} UNIMPLEMENTED without a message or with several; INVALID_ARGUMENT if it is
 * incomplete; INTERNAL if it is compressed but no encoding is declared.
 */
export async function openEnvelope(
  bytes: Uint8Array,
  compression: Compression | null,
  maxBytes: number,
): Promise<Uint8Array> {
  if (bytes.length === 0) {
    throw new ConnectError("protocol error: missing input message", Code.Unimplemented);
  }
  if (bytes.length < PREFIX_BYTES || bytes.length < PREFIX_BYTES + lengthOf(bytes)) {
    throw new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
  }
  const end = PREFIX_BYTES + lengthOf(bytes);
  if (bytes.length > end) {
    throw new ConnectError("protocol error: received extra input message", Code.Unimplemented);
  }
  const [flags] = bytes;
  const data = bytes.subarray(PREFIX_BYTES, end);
  if (flags === 0) return data;
  if (flags !== compressedFlag) {
    throw new ConnectError(`protocol error: unknown flags ${flags}`, Code.InvalidArgument);
  }
  if (compression === null) {
    throw new ConnectError("protocol error: compressed message, but no encoding", Code.Internal);
  }
  return await decompress(data, compression, maxBytes);
}

/**
 * Decompresses a message of a client.
 *
 * @throws {ConnectError} INVALID_ARGUMENT if it is not valid; RESOURCE_EXHAUSTED above `maxBytes`.
 */
export async function decompress(
  bytes: Uint8Array,
  compression: Compression,
  maxBytes: number,
): Promise<Uint8Array> {
  try {
    return await compression.decompress(bytes, maxBytes);
  } catch (reason) {
    const isTooLarge = reason instanceof ConnectError && reason.code === Code.ResourceExhausted;
    if (isTooLarge) throw reason;
    // Without the cause: it is an error of the client, not a bug of this service.
    throw new ConnectError(
      `the message cannot be decompressed with ${compression.name}`,
      Code.InvalidArgument,
    );
  }
}

function lengthOf(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32BE(1);
}
