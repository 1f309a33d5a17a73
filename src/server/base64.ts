import { Buffer } from "node:buffer";

/** Encodes bytes as base64, as in gRPC-Web-Text. */
export function toBase64(bytes: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(bytes).toString("base64"), "latin1");
}

/**
 * Decodes base64, the inverse of {@linkcode toBase64}. The input may be several concatenated texts,
 * each with its own padding.
 */
export function fromBase64(bytes: Uint8Array): Uint8Array {
  const texts = Buffer.from(bytes).toString("latin1").match(/[^=]+={0,2}/g) ?? [];
  return Buffer.concat(texts.map((part) => Buffer.from(part, "base64")));
}
