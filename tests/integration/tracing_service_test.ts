import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { getHealth, statusOf } from "../support/health_client.ts";
import { type ExportedSpan, OtlpCollector } from "../support/otlp_collector.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { scrape } from "../support/scrape.ts";
import { databaseEnv, type ServiceUnderTest, startService } from "../support/service.ts";

const GET_HEALTH = "treasury.v1.Health/GetHealth";
/** A span of the caller, as in W3C Trace Context. */
const CALLER = { spanId: "00f067aa0ba902b7" };

/** A fresh trace of a caller. */
function newTrace() {
  const traceId = crypto.randomUUID().replaceAll("-", "");
  return { traceId, header: { traceparent: `00-${traceId}-${CALLER.spanId}-01` } };
}

async function start(server: TestPostgres, env: Record<string, string>) {
  // Most calls that only ask for the health again are logged at this level.
  const common = { ...databaseEnv(server), LOG_LEVEL: "debug" };
  const service = await startService({ env: { ...common, ...env } });
  await eventually(async () => await statusOf(`${service.url}/readyz`) === 200);
  // The change to connected is checked too: a call that joined that check has none in its own trace.
  const checks = { dependency: "postgresql-primary", status: "healthy" };
  const name = "treasury_health_check_duration_seconds_count";
  await eventually(async () => ((await scrape(service.url)).value(name, checks) ?? 0) >= 2, {
    what: "the checks of the start have ended",
  });
  return service;
}

async function recordOf(service: ServiceUnderTest, traceId: string) {
  return await eventually(
    () => service.logs.find(({ event, trace_id }) => event === "request" && trace_id === traceId),
    { what: "the request is logged with its trace" },
  );
}

async function spanOf(collector: OtlpCollector, traceId: string): Promise<ExportedSpan> {
  return await collector.span(
    "the RPC",
    (span) => span.traceId === traceId && span.name === GET_HEALTH,
  );
}

Deno.test("an RPC continues its caller's trace down to the statement", async (t) => {
  await using server = await startPostgres();
  await using collector = new OtlpCollector();
  await using service = await start(server, collector.env);

  for (const wire of WIRES.filter(({ useBinaryFormat }) => useBinaryFormat)) {
    await t.step(nameOf(wire), async () => {
      await using connection = new RpcConnection(new URL(service.url), wire);
      const { traceId, header } = newTrace();
      await connection.client(Health).getHealth({}, { headers: header });

      const rpc = await spanOf(collector, traceId);
      assert.equal(rpc.parentSpanId, CALLER.spanId);
      assert.equal(rpc.kind, "SERVER");
      assert.ok(!rpc.hasFailed);
      assert.deepEqual(rpc.attributes, {
        "rpc.system": wire.protocol === "connect" ? "connect_rpc" : "grpc",
        "rpc.service": "treasury.v1.Health",
        "rpc.method": "GetHealth",
        ...(wire.protocol !== "connect" && { "rpc.grpc.status_code": 0 }),
      });
      const check = await collector.child(rpc, "health.check");
      assert.deepEqual(check.attributes, {
        "health.dependency": "postgresql-primary",
        "health.status": "healthy",
      });
      const ping = await collector.child(check, "database.ping");
      await collector.child(ping, "database.acquire");
      const { database } = server.database;
      await collector.child(ping, `SELECT ${database}|public`);

      const record = await recordOf(service, traceId);
      assert.equal(record.span_id, rpc.spanId);
    });
  }

  await t.step("an RPC that fails by its caller's fault has not failed", async () => {
    await using connection = new RpcConnection(new URL(service.url), WIRES[0]);
    const { traceId, header } = newTrace();
    const call = connection.client(Health).getHealth({ dependency: "x" }, { headers: header });
    await assert.rejects(call, { code: Code.NotFound });
    const rpc = await spanOf(collector, traceId);
    assert.equal(rpc.attributes["rpc.connect_rpc.error_code"], "not_found");
    assert.ok(!rpc.hasFailed);
  });

  await t.step("what a client makes up is in no span of the service", async () => {
    const { traceId, header } = newTrace();
    const response = await fetch(`${service.url}/made.up.Service/Method`, {
      method: "POST",
      headers: { ...header, "content-type": "application/json" },
      body: "{}",
    });
    await response.body?.cancel();
    assert.equal(response.status, 404);
    const rpc = await collector.span("the RPC", (span) => {
      return span.traceId === traceId && span.scope !== "deno";
    });
    assert.equal(rpc.name, "unknown");
    assert.deepEqual(rpc.attributes, {
      "rpc.system": "connect_rpc",
      "rpc.connect_rpc.error_code": "unimplemented",
      "error.type": "unimplemented",
    });
  });

  await t.step("in an outage the spans say what has failed", async () => {
    await server.stop();
    await eventually(async () => (await getHealth(service.url)).status === "UNHEALTHY");
    const { traceId, header } = newTrace();
    await using connection = new RpcConnection(new URL(service.url), WIRES.at(-1)!);
    await connection.client(Health).getHealth({}, { headers: header });
    const rpc = await spanOf(collector, traceId);
    const check = await collector.child(rpc, "health.check");
    assert.ok(check.hasFailed);
    assert.equal(check.attributes["health.status"], "unhealthy");
    const ping = await collector.child(check, "database.ping");
    assert.ok(ping.hasFailed);
    assert.equal(ping.attributes["error.type"], "CIRCUIT_OPEN");
  });

  await service.stop();
  assert.ok(!collector.bodies.join("\n").includes(server.database.password));
});

Deno.test("nothing is traced, sent or logged of a trace unless it is turned on", async () => {
  await using server = await startPostgres();
  await using collector = new OtlpCollector();
  await using service = await start(server, collector.settings);
  await using connection = new RpcConnection(new URL(service.url), WIRES[0]);
  await connection.client(Health).getHealth({}, { headers: newTrace().header });
  await service.logged("request");
  assert.ok((await service.stop()).success);
  assert.deepEqual(collector.bodies, []);
  assert.ok(service.logs.every((record) => !("trace_id" in record)));
});
