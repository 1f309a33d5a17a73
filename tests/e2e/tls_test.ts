import assert from "node:assert/strict";
import { once } from "node:events";
import tls from "node:tls";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall } from "../support/http2_client.ts";
import { FrameType } from "../support/http2_client_frames.ts";
import { hasFrame } from "../support/http2_server_frames.ts";
import { get, RawSocket } from "../support/raw_socket.ts";
import { scrape } from "../support/scrape.ts";
import { startService } from "../support/service.ts";
import { pem, TlsFolder } from "../support/tls_files.ts";

const ca = pem("ca");
const FIRST = { cert: pem("server"), key: pem("server-key"), ca };
const NEXT = { cert: pem("server-next"), key: pem("server-next-key"), ca };
const CLIENT = { ca, cert: pem("client"), key: pem("client-key") };
const EXPIRY = { first: Date.UTC(2124, 0, 1) / 1000, next: Date.UTC(2123, 0, 1) / 1000 };

/** What a new connection is shown; when that expires, in seconds since 1970. */
async function shown(port: number): Promise<number> {
  const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ...CLIENT });
  await once(socket, "secureConnect");
  const { validToDate } = socket.getPeerX509Certificate()!;
  socket.destroy();
  return validToDate.getTime() / 1000;
}

Deno.test("a running service gets a new certificate while a stream is open", async () => {
  await using folder = await TlsFolder.create("kubernetes", FIRST);
  await using service = await startService({
    secrets: folder.path,
    env: {
      DB_HOST: "127.0.0.1",
      DB_PORT: "1",
      HEALTH_WATCH_HEARTBEAT: "0.2",
      METRICS_ADDR: "127.0.0.1:0",
      TLS_CERT_FILE: folder.file("cert"),
      TLS_KEY_FILE: folder.file("key"),
      TLS_CLIENT_CA_FILE: folder.file("ca"),
      TLS_CLIENT_AUTH: "require-except-probes",
    },
  });
  const port = Number(new URL(service.url).port);
  const metricsUrl = String((await service.logged("metrics.started")).url);
  const expiry = async () =>
    (await scrape(metricsUrl)).value("treasury_tls_certificate_expiry_seconds", {
      certificate: "server",
    });
  assert.equal((await service.logged("tls.loaded")).expires_at, "2124-01-01T00:00:00.000Z");
  assert.deepEqual([await shown(port), await expiry()], [EXPIRY.first, EXPIRY.first]);

  await using watch = await RawSocket.connectTls(port, { ...CLIENT, ALPNProtocols: ["h2"] });
  watch.write(CONNECTION_START);
  watch.write(grpcCall(1, "/treasury.v1.Health/WatchHealth"));
  await eventually(() => hasFrame(watch, FrameType.DATA, 1), { what: "the stream is running" });

  await folder.write({ ...NEXT, key: FIRST.key });
  const failure = await service.logged("tls.reload_failed");
  assert.deepEqual(failure.problems, [
    "TLS_KEY_FILE: the key does not match the certificate of TLS_CERT_FILE",
  ]);
  assert.deepEqual([await shown(port), await expiry()], [EXPIRY.first, EXPIRY.first]);
  await folder.write(NEXT);
  await service.logged("tls.reloaded");
  assert.deepEqual([await shown(port), await expiry()], [EXPIRY.next, EXPIRY.next]);

  const received = watch.received.length;
  await eventually(() => watch.received.length > received, { what: "the stream goes on" });
  assert.equal(watch.ended, false);

  await using probe = await RawSocket.connectTls(port, { ca });
  probe.write(get("/livez"));
  assert.equal((await probe.readResponse()).status, 200);
  probe.write(get("/"));
  assert.equal((await probe.readResponse()).status, 403);

  await watch[Symbol.asyncDispose]();
  await probe[Symbol.asyncDispose]();
  assert.equal((await service.stop()).code, 0);
  assert.doesNotMatch(service.output(), /PRIVATE KEY|BEGIN CERT/);
});
