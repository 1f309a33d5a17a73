import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { fromBinary, toJsonString } from "@bufbuild/protobuf";
import {
  GetHealthResponseSchema,
  WatchHealthResponseSchema,
} from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { grpcMessage } from "../support/http2_client.ts";
import { Http2Session } from "../support/http2_session.ts";
import { startServer, type TestServer } from "../support/server.ts";

const TEXT = "application/grpc-web-text";
const PATH = "/treasury.v1.Health/GetHealth";
const MESSAGE = "Service is fully operational";
/** `{ dependency: "abcdef" }` in an envelope of 13 bytes, which base64 has to pad. */
const REQUEST = grpcMessage(Buffer.from("\x0a\x06abcdef", "latin1"));

Deno.test("gRPC-Web-Text over HTTP/1.1: message and trailers in base64", async () => {
  await using server = await startServer();
  for (const contentType of [TEXT, `${TEXT}+proto`, "Application/gRPC-Web-Text; charset=utf-8"]) {
    const response = await post(server, PATH, REQUEST.toString("base64"), contentType);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type")!, /^application\/grpc-web-text/);
    const [message, trailers] = envelopesIn(await response.text());
    assert.equal(message!.flags, 0);
    assert.equal(fromBinary(GetHealthResponseSchema, message!.bytes).message, MESSAGE);
    assert.equal(trailers!.flags, 0x80);
    assert.match(trailers!.bytes.toString(), /^grpc-status: 0\r\n/m);
  }
});

Deno.test("gRPC-Web-Text over HTTP/2: message and trailers in base64", async () => {
  await using server = await startServer();
  await using session = new Http2Session(server.url);
  const stream = session.request({ ":method": "POST", ":path": PATH, "content-type": TEXT });
  stream.end(REQUEST.toString("base64"));
  let text = "";
  for await (const chunk of stream) text += chunk;
  const [message, trailers] = envelopesIn(text);
  assert.equal(fromBinary(GetHealthResponseSchema, message!.bytes).message, MESSAGE);
  assert.match(trailers!.bytes.toString(), /^grpc-status: 0\r\n/m);
});

Deno.test("gRPC-Web-Text: several padded texts, cut anywhere", async () => {
  await using server = await startServer();
  const texts = REQUEST.subarray(0, 5).toString("base64") + REQUEST.subarray(5).toString("base64");
  assert.match(texts, /=+\w/);
  for (let cut = 1; cut < texts.length; cut++) {
    const chunks = ReadableStream.from([texts.slice(0, cut), texts.slice(cut)])
      .pipeThrough(new TextEncoderStream());
    const [message] = envelopesIn(await (await post(server, PATH, chunks)).text());
    assert.equal(fromBinary(GetHealthResponseSchema, message!.bytes).message, MESSAGE, `${cut}`);
  }
});

Deno.test("gRPC-Web-Text: a stream is sent message by message", async () => {
  await using server = await startServer();
  const empty = grpcMessage().toString("base64");
  const response = await post(server, "/treasury.v1.Health/WatchHealth", empty);
  const reader = response.body!.getReader();
  const { value } = await reader.read();
  const [first] = envelopesIn(new TextDecoder().decode(value));
  const { health } = fromBinary(WatchHealthResponseSchema, first!.bytes);
  assert.match(toJsonString(GetHealthResponseSchema, health!), /HEALTHY/);
  await reader.cancel();
  await eventually(() => server.logs.some(({ code }) => code === "canceled"));
});

Deno.test("gRPC-Web-Text: errors are readable", async () => {
  await using server = await startServer();
  const unknown = await post(server, "/treasury.v1.Health/Missing", "");
  const [trailers] = envelopesIn(await unknown.text());
  assert.equal(trailers!.flags, 0x80);
  assert.match(trailers!.bytes.toString(), /^grpc-status: 12\r\n/m);

  const broken = await post(server, PATH, "!!!! not base64 !!!!");
  const last = envelopesIn(await broken.text()).at(-1);
  assert.equal(last!.flags, 0x80);
  assert.doesNotMatch(last!.bytes.toString(), /^grpc-status: 0\r\n/m);
});

Deno.test("gRPC-Web-Text: the size limit counts", async () => {
  await using server = await startServer({ maxRequestBytes: 100 });
  const response = await post(server, PATH, grpcMessage(Buffer.alloc(500)).toString("base64"));
  const [trailers] = envelopesIn(await response.text());
  assert.match(trailers!.bytes.toString(), /^grpc-status: 8\r\n/m);
});

function post(
  server: TestServer,
  path: string,
  body: string | ReadableStream<Uint8Array<ArrayBuffer>>,
  contentType = TEXT,
): Promise<Response> {
  const headers = { "content-type": contentType };
  return fetch(new URL(path, server.url), { method: "POST", headers, body });
}

/** The envelopes in base64 texts that follow each other. */
function envelopesIn(text: string): { flags: number; bytes: Buffer }[] {
  const texts = text.match(/[^=]+=*/g) ?? [];
  let rest = Buffer.concat(texts.map((each) => Buffer.from(each, "base64")));
  const envelopes = [];
  while (rest.length > 0) {
    const end = 5 + rest.readUInt32BE(1);
    envelopes.push({ flags: rest.readUInt8(0), bytes: rest.subarray(5, end) });
    rest = rest.subarray(end);
  }
  return envelopes;
}
