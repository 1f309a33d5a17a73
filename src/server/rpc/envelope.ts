import { Buffer } from "node:buffer";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressedFlag, type Compression } from "@connectrpc/connect/protocol";

/** A flag, and the length of the message in four bytes. */
const PREFIX_BYTES = 5;

/** What an envelope adds to its message, and one more message with nothing in it. */
export const MAX_ENVELOPE_BYTES: number = 2 * PREFIX_BYTES;

/**
 * Refuses a message that is announced to be too large, before it comes.
 *
 * @returns whether enough has come to tell
 * @throws {ConnectError} RESOURCE_EXHAUSTED
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
 * Takes the one message of a request out of its envelope.
 *
 * Source: "Length-Prefixed-Message" of gRPC over HTTP/2.
 *
 * @throws {ConnectError} UNIMPLEMENTED when there is none or there are more, INVALID_ARGUMENT when it
 * is cut off, INTERNAL when it is compressed and nothing says how.
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
 * @throws {ConnectError} INVALID_ARGUMENT when it cannot be done, RESOURCE_EXHAUSTED above `maxBytes`
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
    // Not the cause: it is the client's, and no defect of this service.
    throw new ConnectError(
      `the message cannot be decompressed with ${compression.name}`,
      Code.InvalidArgument,
    );
  }
}

function lengthOf(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32BE(1);
}
