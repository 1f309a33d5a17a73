import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import type http2 from "node:http2";
import { gzipSync } from "node:zlib";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { compressionGzip, createGrpcTransport } from "@connectrpc/connect-node";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcHeader } from "../support/http2_client.ts";
import { FrameType, headers } from "../support/http2_client_frames.ts";
import { framesFrom } from "../support/http2_server_frames.ts";
import { Http2Session } from "../support/http2_session.ts";
import { get, post, RawSocket } from "../support/raw_socket.ts";
import { assertUnharmed, startServer } from "../support/server.ts";

const PATH = "/treasury.v1.Health/GetHealth";
const LIMITS = { maxRequestBytes: 1_000, maxHeaderBytes: 2_000 };
const TOO_LARGE = JSON.stringify({ dependency: "x".repeat(2_000) });

Deno.test("sizes: a header that is too large over HTTP/1.1 gets 431", async () => {
  await using server = await startServer(LIMITS);
  await using socket = await RawSocket.connect(server.port);
  socket.write(get("/livez", { "X-Large": "x".repeat(2_500) }));
  assert.equal((await socket.readResponse()).status, 431);
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("sizes: a header that never ends over HTTP/1.1 gets 431", async () => {
  await using server = await startServer(LIMITS);
  await using socket = await RawSocket.connect(server.port);
  socket.write("GET /livez HTTP/1.1\r\n");
  await eventually(() => {
    socket.write(`X-More: ${"x".repeat(100)}\r\n`);
    return socket.ended;
  }, { what: "the server closes the connection" });
  assert.equal((await socket.readResponse()).status, 431);
  await assertUnharmed(server);
});

Deno.test("sizes: a header that is too large over HTTP/2 ends the stream or the session", async () => {
  await using server = await startServer(LIMITS);
  await using socket = await RawSocket.connect(server.port);
  const large = [...grpcHeader(PATH), ["x-large", "x".repeat(2_500)] as const];
  socket.write(Buffer.concat([CONNECTION_START, headers(1, large)]));
  await eventually(() =>
    socket.ended ||
    framesFrom(socket).some(({ type, stream }) => type === FrameType.RST_STREAM && stream === 1)
  );
  await socket[Symbol.asyncDispose]();
  await assertUnharmed(server);
});

Deno.test("sizes: a body that is too large over HTTP/1.1, announced or not", async () => {
  await using server = await startServer(LIMITS);
  const chunked = post(PATH, "", { "Transfer-Encoding": "chunked" })
    .replace(/Content-Length.*\r\n/, "") +
    `${TOO_LARGE.length.toString(16)}\r\n${TOO_LARGE}\r\n0\r\n\r\n`;
  for (const request of [post(PATH, TOO_LARGE), chunked]) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(request);
    const { status, body } = await socket.readResponse();
    assert.equal(status, 429);
    assert.equal(JSON.parse(body).code, "resource_exhausted");
  }
  await assertUnharmed(server);
});

Deno.test("sizes: a body without an end over HTTP/1.1 is answered and cut", async () => {
  await using server = await startServer(LIMITS);
  await using socket = await RawSocket.connect(server.port);
  socket.write(
    post(PATH, "", { "Transfer-Encoding": "chunked" }).replace(/Content-Length.*\r\n/, ""),
  );
  await eventually(() => {
    socket.write(`64\r\n${"x".repeat(100)}\r\n`);
    return socket.ended;
  }, { what: "the server closes the connection" });
  assert.equal((await socket.readResponse()).status, 429);
  await assertUnharmed(server);
});

Deno.test("sizes: a body that is too large over HTTP/2, announced or not", async () => {
  await using server = await startServer(LIMITS);
  {
    await using session = new Http2Session(server.url);
    for (const length of [{}, { "content-length": TOO_LARGE.length }]) {
      const { status, body } = await exchange(
        session.request({
          ":method": "POST",
          ":path": PATH,
          "content-type": "application/json",
          ...length,
        }),
        TOO_LARGE,
      );
      assert.equal(status, 429);
      assert.equal(JSON.parse(body).code, "resource_exhausted");
    }
  }
  await assertUnharmed(server);
});

Deno.test("sizes: a gRPC message that is too large is RESOURCE_EXHAUSTED", async () => {
  await using server = await startServer(LIMITS);
  {
    await using session = new Http2Session(server.url);
    const stream = session.request({
      ":method": "POST",
      ":path": PATH,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const trailers = once(stream, "trailers");
    // Says that a gigabyte follows.
    stream.write(Buffer.of(0, 0x40, 0, 0, 0));
    const [trailer] = await trailers;
    assert.equal(trailer["grpc-status"], String(Code.ResourceExhausted));
  }
  await assertUnharmed(server);
});

Deno.test("sizes: a small body that unpacks to a large one is refused (gzip bomb)", async () => {
  await using server = await startServer({ ...LIMITS, maxRequestBytes: 20_000 });
  const bomb = gzipSync(JSON.stringify({ dependency: "x".repeat(10_000_000) }), { level: 9 });
  assert.ok(bomb.length < 20_000);
  const response = await fetch(new URL(PATH, server.url), {
    method: "POST",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: bomb,
  });
  assert.equal(response.status, 429);
  assert.equal((await response.json()).code, "resource_exhausted");
});

Deno.test("sizes: a gRPC message that unpacks to a large one is RESOURCE_EXHAUSTED", async () => {
  await using server = await startServer(LIMITS);
  const client = createClient(
    Health,
    createGrpcTransport({
      baseUrl: server.url.href,
      sendCompression: compressionGzip,
      compressMinBytes: 0,
    }),
  );
  await assert.rejects(
    client.getHealth({ dependency: "x".repeat(2_000) }),
    (error) => error instanceof ConnectError && error.code === Code.ResourceExhausted,
  );
});

async function exchange(
  stream: http2.ClientHttp2Stream,
  body: string,
): Promise<{ status: unknown; body: string }> {
  const responded = once(stream, "response");
  stream.end(body);
  const [header] = await responded;
  let text = "";
  for await (const chunk of stream) text += chunk;
  return { status: header[":status"], body: text };
}
