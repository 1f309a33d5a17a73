import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ServerConfig } from "../../src/config/mod.ts";
import { Secret } from "../../src/config/secret.ts";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall } from "../support/http2_client.ts";
import { FrameType } from "../support/http2_client_frames.ts";
import { hasFrame } from "../support/http2_server_frames.ts";
import { Http2Session } from "../support/http2_session.ts";
import { GET_HEALTH, RawSocket } from "../support/raw_socket.ts";
import { startServer, WITHOUT_TIMEOUTS } from "../support/server.ts";

const fixture = (name: string) =>
  Deno.readTextFileSync(fileURLToPath(new URL(`../support/tls/${name}`, import.meta.url)));
const ca = fixture("ca.pem");
const startTlsServer = (overrides: Partial<ServerConfig> = {}) =>
  startServer({
    tls: { cert: fixture("server.pem"), key: new Secret(fixture("server-key.pem")) },
    ...overrides,
  });

Deno.test("TLS: h2 by ALPN", async () => {
  await using server = await startTlsServer();
  assert.equal(server.url.protocol, "https:");
  await using socket = await RawSocket.connectTls(server.port, {
    ca,
    ALPNProtocols: ["h2", "http/1.1"],
  });
  assert.equal(socket.alpnProtocol, "h2");
  socket.write(Buffer.concat([
    CONNECTION_START,
    grpcCall(1, "/treasury.v1.Health/GetHealth"),
  ]));
  await eventually(() => hasFrame(socket, FrameType.DATA, 1), { what: "the answer has come" });
  assert.match(socket.received.toString("latin1"), /Service is fully operational/);
});

for (const ALPNProtocols of [["http/1.1"], []]) {
  Deno.test(`TLS: HTTP/1.1 with keep-alive when ALPN offers [${ALPNProtocols}]`, async () => {
    await using server = await startTlsServer();
    await using socket = await RawSocket.connectTls(server.port, { ca, ALPNProtocols });
    for (let round = 0; round < 3; round++) {
      socket.write(GET_HEALTH);
      const { status, header } = await socket.readResponse();
      assert.equal(status, 200);
      assert.notEqual(header.get("connection"), "close");
    }
    assert.equal(server.server.connections, 1);
    await socket[Symbol.asyncDispose]();
    await eventually(() => server.server.connections === 0, { what: "the connection is gone" });
  });
}

Deno.test("TLS: leaving an HTTP/2 session is noticed", async () => {
  await using server = await startTlsServer();
  {
    await using socket = await RawSocket.connectTls(server.port, { ca, ALPNProtocols: ["h2"] });
    socket.write(CONNECTION_START);
    socket.write(grpcCall(1, "/treasury.v1.Health/WatchHealth"));
    await eventually(() => hasFrame(socket, FrameType.DATA, 1), { what: "the stream is running" });
    assert.equal(server.server.connections, 1);
  }
  await eventually(() => server.server.connections === 0, { what: "the connection is gone" });
});

Deno.test("TLS: node:http2 and fetch verify the certificate", async () => {
  await using server = await startTlsServer();
  const url = new URL(server.url);
  url.hostname = "localhost";
  await using session = new Http2Session(url, { ca });
  const stream = session.request({ ":path": "/livez" });
  const [header] = await once(stream, "response");
  assert.equal(header[":status"], 200);
  stream.resume();

  using trusting = Deno.createHttpClient({ caCerts: [ca] });
  assert.equal(await (await fetch(new URL("/livez", url), { client: trusting })).text(), "alive\n");
  await assert.rejects(
    fetch(new URL("/livez", url)),
    ({ cause }: Error) => /certificate/i.test(String(cause)),
  );
});

Deno.test("TLS: cleartext is refused", async () => {
  await using server = await startTlsServer();
  for (const bytes of [GET_HEALTH, CONNECTION_START]) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(bytes);
    await socket.closedByServer();
    assert.doesNotMatch(socket.received.toString("latin1"), /HTTP/);
  }
  await eventually(() => server.server.connections === 0, { what: "no connection is held" });
});

Deno.test("TLS: versions before 1.2 are refused", async () => {
  await using server = await startTlsServer();
  await assert.rejects(
    RawSocket.connectTls(server.port, { ca, minVersion: "TLSv1", maxVersion: "TLSv1.1" }),
  );
  await using socket = await RawSocket.connectTls(server.port, { ca, maxVersion: "TLSv1.2" });
  socket.write(GET_HEALTH);
  assert.equal((await socket.readResponse()).status, 200);
});

Deno.test("TLS: a client that never shakes hands is dropped", async () => {
  await using server = await startTlsServer({ headerTimeoutMs: 200 });
  await using silent = await RawSocket.connect(server.port);
  await using half = await RawSocket.connect(server.port);
  half.write(Buffer.of(0x16, 0x03, 0x01, 0x01)); // the start of a ClientHello
  await silent.closedByServer();
  await half.closedByServer();
  await eventually(() => server.server.connections === 0, { what: "no connection is held" });
});

Deno.test("TLS: a connection without a request is closed at once on shutdown", async () => {
  await using server = await startTlsServer(WITHOUT_TIMEOUTS);
  await using silent = await RawSocket.connect(server.port);
  await using kept = await RawSocket.connectTls(server.port, { ca });
  kept.write(GET_HEALTH);
  await kept.readResponse();
  await using session = await RawSocket.connectTls(server.port, { ca, ALPNProtocols: ["h2"] });
  session.write(CONNECTION_START);
  await eventually(() => hasFrame(session, FrameType.SETTINGS), { what: "the session is open" });
  await eventually(() => server.server.connections === 3, { what: "all are connected" });

  void server.server.close();
  for (const socket of [silent, kept, session]) await socket.closedByServer();
  await eventually(() => server.server.connections === 0, { what: "no connection is held" });
});

Deno.test("TLS: what is still running is cut when the signal aborts", async () => {
  await using server = await startTlsServer();
  await using socket = await RawSocket.connectTls(server.port, { ca, ALPNProtocols: ["h2"] });
  socket.write(CONNECTION_START);
  socket.write(grpcCall(1, "/treasury.v1.Health/WatchHealth"));
  await eventually(() => hasFrame(socket, FrameType.DATA, 1), { what: "the stream is running" });
  await server.server.close(AbortSignal.abort());
  await socket.closedByServer();
});
