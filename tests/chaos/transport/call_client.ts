import { Buffer } from "node:buffer";
import type http2 from "node:http2";
import type { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { GET_HEALTH } from "./paths.ts";
import type { BadCall } from "./fuzz_calls.ts";

/** How a call was answered. */
export interface Answer {
  readonly status: number;
  /** `undefined`: no error in the protocol of the call. */
  readonly code: Code | undefined;
  readonly text: string;
}

/** Makes a call over HTTP/2, and finds its error wherever its protocol puts it. */
export async function call(session: http2.ClientHttp2Session, bad: BadCall): Promise<Answer> {
  const stream = session.request({
    ":method": bad.method ?? "POST",
    ":path": bad.path ?? GET_HEALTH,
    "content-type": bad.contentType,
    ...bad.header,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let header: Record<string, unknown> = {};
  const chunks: Buffer[] = [];
  stream.on("response", (fields) => header = { ...header, ...fields });
  stream.on("trailers", (fields) => header = { ...header, ...fields });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  // Not "close" alone: on Deno that does not come when the server did not want the whole body.
  stream.once("error", reject).once("end", resolve).once("close", resolve);
  stream.end(bad.body);
  await promise;
  stream.close();
  const body = Buffer.concat(chunks);
  const text = bad.contentType.startsWith("application/grpc-web-text")
    ? Buffer.from(body.toString("latin1"), "base64").toString()
    : body.toString();
  return { status: Number(header[":status"]), code: codeOf(header["grpc-status"], text), text };
}

function codeOf(grpcStatus: unknown, text: string): Code | undefined {
  const number = Number(grpcStatus ?? /grpc-status: *(\d+)/.exec(text)?.[1] ?? 0);
  return number > 0 ? number : codeFromString(/"code":"(\w+)"/.exec(text)?.[1] ?? "");
}
