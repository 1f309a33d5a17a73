import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { readTlsMaterial, type TlsFiles } from "../../src/config/mod.ts";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall } from "../support/http2_client.ts";
import { FrameType } from "../support/http2_client_frames.ts";
import { hasFrame } from "../support/http2_server_frames.ts";
import { GET_HEALTH, RawSocket } from "../support/raw_socket.ts";
import { startServer } from "../support/server.ts";
import { pem, TlsFolder, WAYS_OF_WRITING } from "../support/tls_files.ts";

const ca = pem("ca");
const FIRST = { cert: pem("server"), key: pem("server-key") };
const NEXT = { cert: pem("server-next"), key: pem("server-next-key") };
const EXPIRES = { first: 2124, next: 2123 };

/** The year in which the certificate ends that a new connection is shown. */
async function shownYear(port: number, options: tls.ConnectionOptions = {}): Promise<number> {
  const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ca, ...options });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate()!.validToDate.getUTCFullYear();
  } finally {
    socket.destroy();
    if (!socket.closed) await once(socket, "close");
  }
}

async function startWithFiles(folder: TlsFolder) {
  const files: TlsFiles = {
    cert: folder.file("cert"),
    key: folder.file("key"),
    clientCa: undefined,
  };
  return await startServer({ tls: { ...readTlsMaterial(files, Deno.readTextFileSync), files } });
}

Deno.test("fact: setSecureContext of a listening https server holds for new connections", async () => {
  const server = https.createServer({ ...FIRST, ALPNProtocols: ["h2", "http/1.1"] });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  assert.equal(await shownYear(port), EXPIRES.first);
  server.setSecureContext(NEXT);
  assert.equal(await shownYear(port), EXPIRES.next);
  await using socket = await RawSocket.connectTls(port, { ca, ALPNProtocols: ["h2"] });
  assert.equal(socket.alpnProtocol, "h2");
  // What does not fit together is found out by the next handshake only.
  server.setSecureContext({ cert: FIRST.cert, key: NEXT.key });
  await assert.rejects(shownYear(port));
  server.close();
});

for (const way of WAYS_OF_WRITING) {
  Deno.test(`TLS reload: new connections get the new pair, open ones stay (${way})`, async () => {
    await using folder = await TlsFolder.create(way, FIRST);
    await using server = await startWithFiles(folder);
    assert.equal(await shownYear(server.port), EXPIRES.first);

    await using watch = await RawSocket.connectTls(server.port, { ca, ALPNProtocols: ["h2"] });
    watch.write(CONNECTION_START);
    watch.write(grpcCall(1, "/treasury.v1.Health/WatchHealth"));
    await eventually(() => hasFrame(watch, FrameType.DATA, 1), { what: "the stream is running" });
    await using kept = await RawSocket.connectTls(server.port, { ca });
    kept.write(GET_HEALTH);
    assert.equal((await kept.readResponse()).status, 200);

    await folder.write(NEXT);
    await eventually(async () => await shownYear(server.port) === EXPIRES.next, {
      what: "a new connection gets the new certificate",
    });
    assert.equal(server.server.certificate?.validToDate.getUTCFullYear(), EXPIRES.next);

    watch.write(grpcCall(3, "/treasury.v1.Health/GetHealth"));
    await eventually(() => hasFrame(watch, FrameType.DATA, 3), { what: "the session answers" });
    assert.equal(watch.ended, false);
    assert.equal(hasFrame(watch, FrameType.GOAWAY), false);
    kept.write(GET_HEALTH);
    assert.equal((await kept.readResponse()).status, 200);

    for (const [offered, agreed] of [[["h2", "http/1.1"], "h2"], [["http/1.1"], "http/1.1"]]) {
      await using socket = await RawSocket.connectTls(server.port, {
        ca,
        ALPNProtocols: offered as string[],
      });
      assert.equal(socket.alpnProtocol, agreed);
    }
    await using next = await RawSocket.connectTls(server.port, { ca, ALPNProtocols: ["h2"] });
    next.write(Buffer.concat([
      CONNECTION_START,
      grpcCall(1, "/treasury.v1.Health/GetHealth"),
    ]));
    await eventually(() => hasFrame(next, FrameType.DATA, 1), { what: "the answer has come" });
    await assert.rejects(
      RawSocket.connectTls(server.port, { ca, minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }),
      "the oldest version is still the same",
    );
  });
}

Deno.test("TLS reload: an invalid pair is logged, and the previous one stays in use", async () => {
  await using folder = await TlsFolder.create("overwrite", FIRST);
  await using server = await startWithFiles(folder);
  const failures = () => server.logs.filter(({ event }) => event === "tls.reload_failed");
  await folder.write({ cert: NEXT.cert });
  await eventually(() => failures().length > 0, { what: "the failure is logged" });
  assert.equal(await shownYear(server.port), EXPIRES.first);
  await folder.write({ key: NEXT.key });
  await eventually(async () => await shownYear(server.port) === EXPIRES.next, {
    what: "a new connection gets the new certificate",
  });
  assert.equal(failures().length, 1);
  assert.deepEqual(
    server.logs.map(({ event }) => event).filter((event) => String(event).startsWith("tls.")),
    ["tls.loaded", "tls.reload_failed", "tls.reloaded"],
  );
});
