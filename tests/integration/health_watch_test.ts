import assert from "node:assert/strict";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { Health as GrpcHealth } from "../../gen/grpc/health/v1/health_pb.ts";
import { Health, WatchHealthResponse_Reason as Reason } from "../../gen/treasury/v1/health_pb.ts";
import {
  createGrpcHealthService,
  createHealthService,
  HealthRegistry,
  type HealthReport,
} from "../../src/health/mod.ts";
import { eventually } from "../support/condition.ts";
import { startServer } from "../support/server.ts";

/** Knows how many subscribers it has. */
class CountingRegistry extends HealthRegistry {
  subscribers = 0;

  override subscribe(listener: (report: HealthReport) => void): () => void {
    const unsubscribe = super.subscribe(listener);
    this.subscribers++;
    return () => {
      this.subscribers--;
      unsubscribe();
    };
  }
}

/** Both services behind the real server. */
async function start() {
  const registry = new CountingRegistry({ checkers: [] });
  const shutdown = new AbortController();
  const shutdownSignal = shutdown.signal;
  const server = await startServer({}, ({ service }) => {
    const options = { registry, version: "1", startedAt: new Date(), heartbeatMs: 60_000 };
    service(Health, createHealthService({ ...options, shutdownSignal }));
    service(GrpcHealth, createGrpcHealthService({ registry, shutdownSignal }));
  });
  return { registry, shutdown, server, baseUrl: server.url.origin };
}

const transports: [string, (baseUrl: string) => Transport][] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web over HTTP/1.1", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect over HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect over HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
];
for (const [what, transportTo] of transports) {
  Deno.test(`a watcher that leaves is forgotten: ${what}`, async () => {
    const { registry, server, baseUrl } = await start();
    await using _ = server;
    const transport = transportTo(baseUrl);
    const leave = new AbortController();
    const { signal } = leave;
    const health = createClient(Health, transport).watchHealth({}, { signal });
    const readiness = createClient(GrpcHealth, transport).watch({}, { signal });
    const streams = [health[Symbol.asyncIterator](), readiness[Symbol.asyncIterator]()];
    for (const stream of streams) await stream.next();
    assert.equal(registry.subscribers, 2);
    leave.abort();
    for (const stream of streams) await assert.rejects(stream.next(), { code: Code.Canceled });
    await eventually(() => registry.subscribers === 0, { what: "nobody watches" });
  });

  Deno.test(`a shutdown is the last news: ${what}`, async () => {
    const { registry, server, baseUrl, shutdown } = await start();
    await using _ = server;
    const watch = createClient(Health, transportTo(baseUrl)).watchHealth({});
    const stream = watch[Symbol.asyncIterator]();
    await stream.next();
    registry.beginShutdown();
    shutdown.abort();
    const { value } = await stream.next();
    assert.equal(value.reason, Reason.CHANGE);
    assert.equal(value.health.message, "Service is shutting down");
    await assert.rejects(stream.next(), { code: Code.Unavailable });
    assert.equal(registry.subscribers, 0);
  });
}

Deno.test("a watcher whose connection breaks is forgotten", async () => {
  const { registry, server, baseUrl } = await start();
  await using _ = server;
  // Without an idle timer, which would outlive the test.
  const sessionManager = new Http2SessionManager(baseUrl, { idleConnectionTimeoutMs: Infinity });
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  const streams = Array.from(
    { length: 10 },
    () => createClient(Health, transport).watchHealth({})[Symbol.asyncIterator](),
  );
  for (const stream of streams) await stream.next();
  assert.equal(registry.subscribers, 10);
  sessionManager.abort();
  for (const stream of streams) await assert.rejects(stream.next());
  await eventually(() => registry.subscribers === 0, { what: "nobody watches" });
});
