import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { grpcMessage } from "../../support/http2_client.ts";
import { GET_HEALTH, WATCH_HEALTH } from "./paths.ts";
import type { Random } from "./random.ts";

/** A request that is sound HTTP and no sound call. */
export interface BadCall {
  readonly method?: "GET" | "POST" | "PUT";
  readonly path?: string;
  readonly contentType: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The codes of a clean refusal. INTERNAL is Connect's own answer to what it cannot decode. */
  readonly codes: readonly Code[];
}

const { InvalidArgument, ResourceExhausted, Unimplemented, Internal } = Code;

/** All unary encodings, with the function that wraps a message for each. */
const ENCODINGS: readonly (readonly [contentType: string, wrap: (message: Buffer) => Buffer])[] = [
  ["application/json", (message) => message],
  ["application/proto", (message) => message],
  ["application/grpc", (message) => grpcMessage(message)],
  ["application/grpc+json", (message) => grpcMessage(message)],
  ["application/grpc-web", (message) => grpcMessage(message)],
  ["application/grpc-web+json", (message) => grpcMessage(message)],
  [
    "application/grpc-web-text",
    (message) => Buffer.from(grpcMessage(message).toString("base64"), "latin1"),
  ],
];

/** What is wrong with a call, by name. */
export const BAD_CALLS: Readonly<Record<string, (random: Random) => BadCall>> = {
  "message that is none": (random) => {
    const [contentType, wrap] = random.pick(ENCODINGS);
    const isJson = contentType.endsWith("json");
    const message = random.pick(isJson ? BAD_JSON : BAD_PROTOBUF);
    return { contentType, body: wrap(message), codes: [isJson ? InvalidArgument : Internal] };
  },
  "message that is too large": (random) => {
    const [contentType, wrap] = random.pick(ENCODINGS);
    const message = Buffer.alloc(65_537 + random.below(100_000), " ");
    return { contentType, body: wrap(message), codes: [ResourceExhausted] };
  },
  "announced message that is too large": (random) => ({
    contentType: random.pick(["application/grpc", "application/grpc-web"]),
    body: Buffer.from("00ffffffff0000", "hex"),
    codes: [ResourceExhausted, InvalidArgument],
  }),
  "compressed message that is too large": (random) => {
    const [contentType, wrap] = random.pick(ENCODINGS.slice(0, 2));
    const message = gzipSync(Buffer.alloc(10_000_000, " "));
    const header = { "content-encoding": "gzip" };
    return { contentType, header, body: wrap(message), codes: [ResourceExhausted] };
  },
  "envelope that is cut off": (random) => ({
    contentType: random.pick(["application/grpc", "application/grpc-web", "application/grpc+json"]),
    body: grpcMessage(Buffer.from("{}")).subarray(0, 1 + random.below(6)),
    codes: [InvalidArgument, Unimplemented],
  }),
  "stream envelope that is cut off": (random) => ({
    path: WATCH_HEALTH,
    contentType: random.pick(["application/connect+json", "application/connect+proto"]),
    body: grpcMessage(Buffer.from("{}")).subarray(0, 1 + random.below(6)),
    codes: [InvalidArgument, Unimplemented],
  }),
  "no message": (random) => ({
    contentType: random.pick(["application/grpc", "application/grpc-web", "application/grpc+json"]),
    codes: [InvalidArgument, Unimplemented],
  }),
  "two messages": (random) => ({
    contentType: random.pick(["application/grpc", "application/grpc-web"]),
    body: Buffer.concat([grpcMessage(), grpcMessage()]),
    codes: [InvalidArgument, Unimplemented],
  }),
  "base64 that is none": (random) => ({
    contentType: "application/grpc-web-text",
    body: Buffer.from(random.pick(["AAAA*AA=", "====", "A", "\u{1f4a5}", "AAAAAA"])),
    codes: [InvalidArgument, Unimplemented],
  }),
  "unknown compression": (random) => {
    const contentType = random.pick(["application/json", "application/grpc"]);
    const name = contentType === "application/json" ? "content-encoding" : "grpc-encoding";
    return {
      contentType,
      header: { [name]: random.pick(["zstd", "x", "gzip, gzip"]) },
      body: contentType === "application/json" ? Buffer.from("{}") : flagged(grpcMessage()),
      codes: [Unimplemented],
    };
  },
  "bad compression": (random) => ({
    contentType: "application/json",
    header: { "content-encoding": random.pick(["gzip", "br"]) },
    body: random.bytes(1 + random.below(100)),
    codes: [InvalidArgument, Internal],
  }),
  "bad compression in an envelope": (random) => ({
    contentType: random.pick(["application/grpc", "application/grpc-web"]),
    header: { "grpc-encoding": "gzip" },
    body: flagged(grpcMessage(random.bytes(1 + random.below(100)))),
    codes: [InvalidArgument, Internal],
  }),
  "compression that was not announced": (random) => ({
    contentType: random.pick(["application/grpc", "application/grpc-web"]),
    body: flagged(grpcMessage()),
    // gRPC over HTTP/2 wants INTERNAL.
    codes: [Internal],
  }),
  "gRPC timeout that is none": (random) => ({
    contentType: "application/grpc",
    header: { "grpc-timeout": random.pick(["-1S", "1", "S", "1.5S", "999999999H", "1 S", "1s"]) },
    body: grpcMessage(),
    codes: [InvalidArgument],
  }),
  "Connect timeout that is none": (random) => ({
    contentType: "application/json",
    header: { "connect-timeout-ms": random.pick(["-1", "x", "1.5", "99999999999", "1e3"]) },
    body: Buffer.from("{}"),
    codes: [InvalidArgument],
  }),
  "unknown method": (random) => ({
    path: random.pick(["/treasury.v1.Health/Nothing", "/a.B/C", `${GET_HEALTH}/`, "/__proto__"]),
    contentType: random.pick(ENCODINGS)[0],
    codes: [Unimplemented],
  }),
};

const BAD_JSON = ["{", "", "[]", "null", "1", '{"dependency":5}', "\xff", "{}{}"]
  .map((text) => Buffer.from(text, "latin1"));

/** A cut-off string, a string that is no UTF-8, an unknown wire type, a varint without end. */
const BAD_PROTOBUF = ["0a0561", "0a01ff", "07", "10ffffffffffffffffffffff", "0a"]
  .map((hex) => Buffer.from(hex, "hex"));

/** Sets the envelope flag that says that the message is compressed. */
function flagged(envelope: Buffer): Buffer {
  envelope[0] = 1;
  return envelope;
}
