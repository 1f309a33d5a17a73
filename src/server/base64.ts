import { Buffer } from "node:buffer";

/** Bytes of text that are base64 of other bytes, as gRPC-Web-Text sends them. */
export function toBase64(bytes: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(bytes).toString("base64"), "latin1");
}

/**
 * The reverse of {@linkcode toBase64}. There may be several texts one after another, each with its
 * own padding.
 */
export function fromBase64(bytes: Uint8Array): Uint8Array {
  const texts = Buffer.from(bytes).toString("latin1").match(/[^=]+={0,2}/g) ?? [];
  return Buffer.concat(texts.map((part) => Buffer.from(part, "base64")));
}
