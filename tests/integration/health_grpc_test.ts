import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import * as net from "node:net";
import {
  Health as GrpcHealth,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import {
  type DependencyHealth,
  DependencyType,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import { claimPort } from "../../dev/postgres/free_port.ts";
import type { GrpcDependencyConfig } from "../../src/config/config.ts";
import { GrpcChecker } from "../../src/health/grpc_checker.ts";
import { eventually } from "../support/condition.ts";
import {
  healthRoutes,
  startGrpcJsPeer,
  startHttp2Peer,
  startTcpPeer,
} from "../support/health_peers.ts";

/** Long enough for every peer that answers. */
const PATIENT_MS = 30_000;
/** For peers that never answer. */
const IMPATIENT_MS = 200;

type Options = Partial<GrpcDependencyConfig> & { timeoutMs?: number; rootCert?: string };

function checkerOf(port: number, options: Options = {}): GrpcChecker {
  const { timeoutMs = PATIENT_MS, rootCert, ...dependency } = options;
  return new GrpcChecker({
    dependency: {
      name: "ledger-service",
      url: `http://127.0.0.1:${port}`,
      critical: true,
      service: "",
      ...dependency,
    },
    timeoutMs,
    ...(rootCert !== undefined && { rootCert }),
  });
}

async function check(checker: GrpcChecker): Promise<DependencyHealth> {
  return await checker.check(new AbortController().signal);
}

function assertUnhealthy(health: DependencyHealth, errorCode: string, message: string): void {
  assert.equal(health.errorCode, errorCode);
  assert.equal(health.status, ServiceStatus.UNHEALTHY);
  assert.equal(health.message, message);
  assert.match(health.error!, /\.$/);
}

const serving = () => startHttp2Peer(healthRoutes(() => ServingStatus.SERVING));

Deno.test("GrpcChecker: a serving peer is HEALTHY, in the specification's words", async () => {
  await using peer = await serving();
  await using checker = checkerOf(peer.port);
  const health = await check(checker);
  assert.equal(health.name, "ledger-service");
  assert.equal(health.type, DependencyType.GRPC_SERVICE);
  assert.equal(health.status, ServiceStatus.HEALTHY);
  assert.equal(health.isCritical, true);
  assert.equal(health.message, "Ledger service is healthy");
  assert.equal(health.error, undefined);
  assert.equal(health.config!.hostname, "127.0.0.1");
  assert.equal(health.config!.port, peer.port);
  assert.equal(health.config!.protocol, "grpc");
  assert.equal(health.config!.databaseName, undefined);
  assert.match(health.lastCheck, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

Deno.test("GrpcChecker: checks share one connection, which disposing closes", async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  await using peer = await serving();
  await using relay = await startTcpPeer((socket) => {
    const onward = net.connect(peer.port, "127.0.0.1");
    // Not piped: when the way onward ends first, a pipe stops reading and never sees the end.
    socket.on("data", (bytes) => onward.write(bytes));
    socket.once("close", () => onward.destroy()).once("close", resolve);
    onward.pipe(socket);
  });
  {
    await using checker = checkerOf(relay.port);
    for (let i = 0; i < 3; i++) assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
    assert.equal(relay.connections, 1);
  }
  await closed;
});

Deno.test("GrpcChecker: what a peer says of itself", async () => {
  let status = ServingStatus.NOT_SERVING;
  await using peer = await startHttp2Peer(healthRoutes(() => status));
  await using checker = checkerOf(peer.port);
  const unwell = "Ledger service is not serving";
  assertUnhealthy(await check(checker), "NOT_SERVING", unwell);
  status = ServingStatus.UNKNOWN;
  assertUnhealthy(await check(checker), "NOT_SERVING", unwell);
  status = ServingStatus.SERVING;
  assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
});

const withoutHealth: [string, () => Promise<{ port: number } & AsyncDisposable>][] = [
  ["grpc-js", () => startGrpcJsPeer({ health: false })],
  ["Connect", () => startHttp2Peer(() => {})],
];
for (const [what, start] of withoutHealth) {
  Deno.test(`GrpcChecker: ${what} without the health protocol is there, but DEGRADED`, async () => {
    await using peer = await start();
    await using checker = checkerOf(peer.port);
    const health = await check(checker);
    assert.equal(health.status, ServiceStatus.DEGRADED);
    assert.equal(health.errorCode, "UNIMPLEMENTED");
    assert.equal(health.message, "Ledger service does not report its health");
  });
}

Deno.test("GrpcChecker: the status that the call ends with is the error code", async () => {
  await using peer = await startHttp2Peer(healthRoutes(() => {
    throw new ConnectError("token=hunter2", Code.PermissionDenied);
  }));
  await using checker = checkerOf(peer.port);
  const health = await check(checker);
  assertUnhealthy(health, "PERMISSION_DENIED", "Ledger service could not report its health");
  assert(!JSON.stringify(health).includes("hunter2"));
});

Deno.test("GrpcChecker: grpc-js, its unknown service, and none of its words", async () => {
  await using peer = await startGrpcJsPeer();
  await using known = checkerOf(peer.port);
  assert.equal((await check(known)).status, ServiceStatus.HEALTHY);
  await using unknown = checkerOf(peer.port, { service: "ledger.v1.Ledger" });
  const health = await check(unknown);
  assertUnhealthy(health, "NOT_FOUND", "Ledger service does not know the requested service");
  assert.match(health.error!, /"ledger\.v1\.Ledger".*HEALTH_GRPC_DEPENDENCIES/);
  assert(!JSON.stringify(health).includes("hunter2"));
});

Deno.test("GrpcChecker: a graceful restart of grpc-js goes unnoticed, a stop does not", async () => {
  const first = await startGrpcJsPeer();
  await using checker = checkerOf(first.port);
  assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
  await first[Symbol.asyncDispose]();
  const second = await startGrpcJsPeer({ port: first.port });
  assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
  await second[Symbol.asyncDispose]();
  assertUnhealthy(
    await check(checker),
    "CONNECTION_REFUSED",
    "Ledger service is unreachable",
  );
  await using _third = await startGrpcJsPeer({ port: first.port });
  assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
});

Deno.test("GrpcChecker: a kept connection that dies under the next check is replaced", async () => {
  await using peer = await serving();
  let answered = false;
  // The first connection ends with the first bytes after the answer.
  await using relay = await startTcpPeer((socket) => {
    const onward = net.connect(peer.port, "127.0.0.1");
    const dies = relay.connections === 0;
    socket.on("data", (bytes) => dies && answered ? socket.destroy() : onward.write(bytes));
    socket.once("close", () => onward.destroy());
    onward.pipe(socket);
  });
  await using checker = checkerOf(relay.port);
  assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
  answered = true;
  assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
  assert.equal(relay.connections, 2);
});

Deno.test("GrpcChecker: disposal during a check ends it and opens no further connection", async () => {
  await using peer = await serving();
  let isAsked = false;
  let isSilent = false;
  await using relay = await startTcpPeer((socket) => {
    const onward = net.connect(peer.port, "127.0.0.1");
    socket.on("data", (bytes) => {
      if (isSilent) isAsked = true;
      else onward.write(bytes);
    });
    socket.once("close", () => onward.destroy());
    onward.pipe(socket);
  });
  await using checker = checkerOf(relay.port, { timeoutMs: 3_600_000 });
  assert.equal((await check(checker)).status, ServiceStatus.HEALTHY);
  isSilent = true;
  let status: ServiceStatus | undefined;
  const running = check(checker).then((health) => status = health.status);
  await eventually(() => isAsked, { what: "the kept connection is asked" });
  await checker[Symbol.asyncDispose]();
  await eventually(() => status === ServiceStatus.UNHEALTHY, { what: "the check has ended" });
  await running;
  assert.equal(relay.connections, 1);
});

const unreachable: [string, string, (socket: net.Socket) => void][] = [
  ["hangs up", "CONNECTION_LOST", (socket) => socket.destroy()],
  ["hangs up when asked", "CONNECTION_LOST", (socket) => socket.once("data", () => socket.end())],
  ["says GOAWAY", "CONNECTION_LOST", (socket) => {
    const settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const goAway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    socket.once("data", () => socket.write(new Uint8Array([...settings, ...goAway])));
  }],
  ["resets", "CONNECTION_LOST", (socket) => socket.resetAndDestroy()],
  ["speaks HTTP/1.1", "NO_GRPC_ANSWER", (socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")],
];
for (const [what, errorCode, onConnection] of unreachable) {
  Deno.test(`GrpcChecker: a peer that accepts and ${what}, ten times`, async () => {
    await using peer = await startTcpPeer(onConnection);
    await using checker = checkerOf(peer.port);
    for (let i = 0; i < 10; i++) {
      const health = await check(checker);
      assertUnhealthy(health, errorCode, "Ledger service is unreachable");
    }
    assert.equal(peer.connections, 10);
  });
}

Deno.test("GrpcChecker: a web server is no gRPC server", async () => {
  const peer = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    return new Response("hello");
  });
  await using checker = checkerOf(peer.addr.port);
  const health = await check(checker);
  assertUnhealthy(health, "NO_GRPC_ANSWER", "Ledger service is unreachable");
  await checker[Symbol.asyncDispose]();
  await peer.shutdown();
});

Deno.test("GrpcChecker: a peer that accepts and never answers is given up in time", async () => {
  await using peer = await startTcpPeer(() => {});
  await using checker = checkerOf(peer.port, { timeoutMs: IMPATIENT_MS });
  for (let i = 1; i <= 3; i++) {
    assertUnhealthy(
      await check(checker),
      "DEADLINE_EXCEEDED",
      "Ledger service did not respond in time",
    );
    await eventually(() => peer.connections === i, { what: "each check tries a new connection" });
  }
});

Deno.test("GrpcChecker: a peer that thinks for too long is told the deadline", async () => {
  await using peer = await startHttp2Peer(({ service }) => {
    service(GrpcHealth, {
      async check(_, { signal, timeoutMs }) {
        assert(timeoutMs()! <= IMPATIENT_MS);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return {};
      },
    });
  });
  await using checker = checkerOf(peer.port, { timeoutMs: IMPATIENT_MS });
  assertUnhealthy(
    await check(checker),
    "DEADLINE_EXCEEDED",
    "Ledger service did not respond in time",
  );
});

Deno.test("GrpcChecker: an unknown host", async () => {
  await using checker = checkerOf(0, { url: "http://ledger.invalid:50051" });
  assertUnhealthy(await check(checker), "HOST_NOT_FOUND", "Ledger service is unreachable");
});

const pem = (name: string) =>
  Deno.readTextFile(new URL(`../support/tls/${name}.pem`, import.meta.url));

const certificates: [string, string, string | undefined, string | undefined][] = [
  ["localhost", "of the trusted authority", "ca", undefined],
  ["127.0.0.1", "of the trusted authority", "ca", undefined],
  ["[::1]", "for other hosts", "ca", "TLS_FAILED"],
  ["localhost", "of another authority", "other-ca", "TLS_FAILED"],
  ["localhost", "of an authority that nobody knows", undefined, "TLS_FAILED"],
];
for (const [host, what, authority, errorCode] of certificates) {
  const verdict = errorCode === undefined ? "accepted" : "refused";
  Deno.test(`GrpcChecker: on ${host} a certificate ${what} is ${verdict}`, async () => {
    await using peer = await startHttp2Peer(healthRoutes(() => ServingStatus.SERVING), {
      host: host === "[::1]" ? "::1" : "127.0.0.1",
      tls: { cert: await pem("server"), key: await pem("server-key") },
    });
    await using checker = checkerOf(peer.port, {
      url: `https://${host}:${peer.port}`,
      ...(authority !== undefined && { rootCert: await pem(authority) }),
    });
    const health = await check(checker);
    assert.equal(health.errorCode, errorCode);
    assert.equal(health.config!.hostname, host === "[::1]" ? "::1" : host);
  });
}

Deno.test("GrpcChecker: the signal ends a check", async () => {
  await using peer = await startTcpPeer(() => {});
  await using checker = checkerOf(peer.port);
  const stop = new AbortController();
  const running = checker.check(stop.signal);
  await eventually(() => peer.connections === 1, { what: "the check has begun" });
  stop.abort();
  assert.equal((await running).status, ServiceStatus.UNHEALTHY);
});

Deno.test("GrpcChecker: survives a peer process that is killed twenty times", async () => {
  await using claim = await claimPort();
  const { port } = claim;
  await using checker = checkerOf(port);
  for (let round = 0; round < 20; round++) {
    const peer = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-net", "--allow-env", PEER_PROCESS, `${port}`],
      stdout: "piped",
    }).spawn();
    const reader = peer.stdout.getReader();
    await reader.read();
    assert.equal((await check(checker)).status, ServiceStatus.HEALTHY, `round ${round}`);
    // Every second time the connection is busy when the peer dies.
    const busy = round % 2 === 0 ? check(checker) : undefined;
    peer.kill("SIGKILL");
    await busy;
    await peer.status;
    await reader.cancel();
    assertUnhealthy(
      await check(checker),
      "CONNECTION_REFUSED",
      "Ledger service is unreachable",
    );
  }
});

const PEER_PROCESS = new URL("../support/health_peer_process.ts", import.meta.url).pathname;
