import assert from "node:assert/strict";
import { once } from "node:events";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type tls from "node:tls";
import type { ConnectRouter } from "@connectrpc/connect";
import { Health as GrpcHealth } from "../../gen/grpc/health/v1/health_pb.ts";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import type { ClientAuth } from "../../src/config/mod.ts";
import { Secret } from "../../src/config/secret.ts";
import { eventually } from "../support/condition.ts";
import { grpcMessage } from "../support/http2_client.ts";
import { Http2Session } from "../support/http2_session.ts";
import { get, post, RawSocket } from "../support/raw_socket.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { pem, TlsFolder } from "../support/tls_files.ts";

const CHECK = "/grpc.health.v1.Health/Check";
const GET_HEALTH = "/treasury.v1.Health/GetHealth";
const ca = pem("ca");
const SERVER = { cert: pem("server"), key: new Secret(pem("server-key")) };
const identity = (name: string) => ({ cert: pem(name), key: pem(`${name}-key`) });
const VALID = identity("client");
const INVALID = {
  "of another authority": [
    identity("client-other"),
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "CN=treasury_user",
  ],
  "that has expired": [identity("client-expired"), "CERT_HAS_EXPIRED", "CN=treasury_user"],
  "that is for servers": [identity("server"), "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CN=localhost"],
} as const;

function routes(router: ConnectRouter): void {
  router.service(Health, { getHealth: () => ({ message: "fine" }) });
  router.service(GrpcHealth, { check: () => ({ status: 1 }) });
}

function startMutual(clientAuth: ClientAuth): Promise<TestServer> {
  return startServer({ tls: { ...SERVER, clientCa: ca, clientAuth } }, routes);
}

/** What one request over HTTP/1.1 gets; undefined when the connection ends without an answer. */
async function ask(
  { port }: TestServer,
  request: string,
  options: tls.ConnectionOptions = {},
): Promise<{ status: number; body: string } | undefined> {
  await using socket = await RawSocket.connectTls(port, { ca, ...options });
  socket.write(request);
  await eventually(() => socket.ended || socket.received.includes("\r\n\r\n"));
  if (socket.received.length === 0) return undefined;
  const { status, body } = await socket.readResponse();
  return { status, body };
}

/** The status in header or trailers of a gRPC call over HTTP/2. */
async function grpcStatus(
  { url }: TestServer,
  path: string,
  options: tls.ConnectionOptions = {},
): Promise<string> {
  await using session = new Http2Session(url, { ca, servername: "localhost", ...options });
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  let status: unknown;
  for (const event of ["response", "trailers"]) {
    stream.on(event, (header) => status = header["grpc-status"] ?? status);
  }
  stream.end(grpcMessage());
  stream.resume();
  await once(stream, "close");
  return String(status);
}

const refusals = ({ logs }: TestServer) =>
  logs.filter(({ event, level }) => event === "tls.client_refused" && level === "warn")
    .map(({ reason, subject }) => ({ reason, subject }));

for (const clientAuth of ["require", "require-except-probes"] as const) {
  Deno.test(`client certificates, ${clientAuth}: a valid one opens everything`, async () => {
    await using server = await startMutual(clientAuth);
    assert.equal((await ask(server, get("/livez"), VALID))?.status, 200);
    assert.match((await ask(server, post(GET_HEALTH, "{}"), VALID))!.body, /fine/);
    assert.equal(await grpcStatus(server, GET_HEALTH, VALID), "0");
    assert.equal(await grpcStatus(server, CHECK, VALID), "0");
    assert.deepEqual(refusals(server), []);
  });

  for (const [what, [options, reason, subject]] of Object.entries(INVALID)) {
    Deno.test(`client certificates, ${clientAuth}: one ${what} opens nothing`, async () => {
      await using server = await startMutual(clientAuth);
      for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
        const answer = await ask(server, get("/livez"), { ...options, maxVersion })
          .catch(() => undefined);
        assert.equal(answer, undefined, maxVersion);
      }
      await eventually(() => refusals(server).length > 0, { what: "the refusal is logged" });
      assert.deepEqual(refusals(server), [{ reason, subject }]);
      assert.equal(await grpcStatus(server, CHECK, options), "undefined");
      await eventually(() => server.server.connections === 0, { what: "no connection is held" });
    });
  }

  Deno.test(`client certificates, ${clientAuth}: a session that began with an invalid one opens nothing`, async () => {
    await using server = await startMutual(clientAuth);
    // Without a pool of connections each request is a handshake, or resumes a session.
    using client = Deno.createHttpClient({
      caCerts: [ca],
      ...identity("client-other"),
      poolMaxIdlePerHost: 0,
    });
    for (let round = 0; round < 4; round++) {
      await assert.rejects(fetch(`https://localhost:${server.port}/livez`, { client }));
    }
  });

  Deno.test(`client certificates, ${clientAuth}: a valid session is resumed, until its authority goes`, async () => {
    await using folder = await TlsFolder.create("overwrite", {
      cert: SERVER.cert,
      key: SERVER.key.reveal(),
      ca,
    });
    const files = {
      cert: folder.file("cert"),
      key: folder.file("key"),
      clientCa: folder.file("ca"),
    };
    await using server = await startServer(
      { tls: { ...SERVER, clientCa: ca, clientAuth, files } },
      routes,
    );
    const livez = async (client: Deno.HttpClient) =>
      await (await fetch(`https://localhost:${server.port}/livez`, { client })).text();
    using client = Deno.createHttpClient({ caCerts: [ca], ...VALID, poolMaxIdlePerHost: 0 });
    using other = Deno.createHttpClient({
      caCerts: [ca],
      ...identity("client-other"),
      poolMaxIdlePerHost: 0,
    });
    const reloads = () => server.logs.filter(({ event }) => event === "tls.reloaded").length;
    for (let round = 0; round < 3; round++) assert.equal(await livez(client), "alive\n");

    await folder.write({ ca: ca + pem("other-ca") });
    await eventually(() => reloads() === 1, { what: "the authorities are two" });
    for (let round = 0; round < 3; round++) assert.equal(await livez(client), "alive\n");
    assert.equal(await livez(other), "alive\n");

    await folder.write({ ca: pem("other-ca") });
    await eventually(() => reloads() === 2, { what: "the first authority is gone" });
    for (let round = 0; round < 3; round++) await assert.rejects(livez(client));
    for (let round = 0; round < 3; round++) assert.equal(await livez(other), "alive\n");
    // Whoever comes back to the authorities has to be verified anew.
    await folder.write({ ca });
    await eventually(() => reloads() === 3, { what: "the first authority is back" });
    await assert.rejects(livez(other));
    await eventually(async () => await livez(client) === "alive\n");
  });
}

Deno.test("fact: Deno calls a session authorized that began with an invalid certificate", async () => {
  const server = https.createServer({
    cert: SERVER.cert,
    key: SERVER.key.reveal(),
    ca,
    requestCert: true,
    rejectUnauthorized: false,
  }, (_request, response) => void response.end());
  const seen: unknown[] = [];
  server.on("secureConnection", (socket: tls.TLSSocket) => {
    seen.push([socket.isSessionReused(), socket.authorized]);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  using client = Deno.createHttpClient({
    caCerts: [ca],
    ...identity("client-other"),
    poolMaxIdlePerHost: 0,
  });
  for (let round = 0; round < 2; round++) {
    await (await fetch(`https://localhost:${port}/`, { client })).body?.cancel();
  }
  // When this is [true, false] one day, ClientGate need not remember certificates.
  assert.deepEqual(seen, [[false, false], [true, true]]);
  server.close();
});

Deno.test("client certificates, require: without one, nothing is answered", async () => {
  await using server = await startMutual("require");
  for (const maxVersion of ["TLSv1.3", "TLSv1.2"] as const) {
    assert.equal(
      await ask(server, get("/livez"), { maxVersion }).catch(() => undefined),
      undefined,
    );
  }
  await eventually(() => refusals(server).length > 0, { what: "the refusal is logged" });
  assert.deepEqual(refusals(server), [{ reason: "NO_CERTIFICATE", subject: undefined }]);
  await eventually(() => server.server.connections === 0, { what: "no connection is held" });
});

Deno.test("client certificates, require-except-probes: without one, probes are answered", async () => {
  await using server = await startMutual("require-except-probes");
  for (const path of ["/livez", "/readyz"]) {
    assert.equal((await ask(server, get(path)))?.status, 200);
  }
  assert.equal((await ask(server, get("/livez?verbose")))?.status, 200);
  assert.equal((await ask(server, get("/metrics")))?.status, 404);
  assert.match((await ask(server, post(CHECK, "{}")))!.body, /SERVING/);
  assert.equal(await grpcStatus(server, CHECK), "0");
});

Deno.test("client certificates, require-except-probes: without one, nothing else is", async () => {
  await using server = await startMutual("require-except-probes");
  const UNAUTHENTICATED = "16";
  for (const path of [GET_HEALTH, "/grpc.health.v1.Health/Watch", "/no.such.Service/Call"]) {
    assert.equal(await grpcStatus(server, path), UNAUTHENTICATED, path);
  }
  for (const path of ["/", "/nothing", "//livez", "/livez/", "/%6civez"]) {
    const { status, body } = (await ask(server, get(path)))!;
    assert.deepEqual([status, body], [403, "403 Forbidden: a client certificate is required\n"]);
  }
  const { status, body } = (await ask(server, post(GET_HEALTH, "{}")))!;
  assert.deepEqual([status, JSON.parse(body)], [401, {
    code: "unauthenticated",
    message: "a client certificate is required",
  }]);
  const web = post(GET_HEALTH, "\0\0\0\0\0", { "Content-Type": "application/grpc-web+proto" });
  assert.match((await ask(server, web))!.body, /grpc-status: 16/i);
});

Deno.test("client certificates: none is asked for without authorities", async () => {
  await using server = await startServer({ tls: SERVER }, routes);
  assert.equal((await ask(server, get("/livez"), identity("client-other")))?.status, 200);
  assert.equal(await grpcStatus(server, GET_HEALTH), "0");
});
