import { Buffer } from "node:buffer";
import { contentTypeOf, type Handler, type Request, type Response } from "./handler.ts";

const TEXT = "application/grpc-web-text";
const BINARY = "application/grpc-web";

/**
 * Lets a handler of binary gRPC-Web serve gRPC-Web-Text too: the same bytes in base64, for clients
 * that cannot read binary streams. Connect speaks the binary form only.
 *
 * Source: gRPC-Web protocol, "Protocol differences vs gRPC over HTTP2"
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md).
 */
export function grpcWebText(inner: Handler): Handler {
  return async (request) => {
    const contentType = contentTypeOf(request);
    if (contentType !== TEXT && !contentType.startsWith(`${TEXT}+`)) return await inner(request);
    return encoded(await inner(decoded(request)));
  };
}

function decoded(request: Request): Request {
  const header = new Headers(request.header);
  header.set("content-type", contentTypeOf(request).replace(TEXT, BINARY));
  return { ...request, header, body: decodeBase64(request.body) };
}

function encoded(response: Response): Response {
  const header = new Headers(response.header);
  const contentType = header.get("content-type");
  if (contentType === null || !contentType.startsWith(BINARY)) return response;
  header.set("content-type", contentType.replace(BINARY, TEXT));
  return { ...response, header, ...(response.body && { body: encodeBase64(response.body) }) };
}

/** Clients may send several base64 texts one after another, each with its own padding. */
async function* decodeBase64(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const whole = rest.length - rest.length % 4;
    if (whole > 0) yield decodeGroups(rest.slice(0, whole));
    rest = rest.slice(whole);
  }
  if (rest !== "") yield decodeGroups(rest);
}

function decodeGroups(text: string): Uint8Array {
  const texts = text.match(/[^=]+={0,2}/g) ?? [];
  return Buffer.concat(texts.map((part) => Buffer.from(part, "base64")));
}

async function* encodeBase64(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) yield Buffer.from(Buffer.from(chunk).toString("base64"), "ascii");
}
