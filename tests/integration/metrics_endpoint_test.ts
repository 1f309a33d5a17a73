import assert from "node:assert/strict";
import { join } from "node:path";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { prometheusTest } from "../support/prometheus.ts";
import { parseMetrics } from "../support/prometheus_text.ts";
import { get, post, RawSocket } from "../support/raw_socket.ts";
import { firstOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { scrape } from "../support/scrape.ts";
import { databaseEnv, ROOT, startService } from "../support/service.ts";

/** A database that nobody has: enough for what does not need one. */
const NO_DATABASE = { DB_HOST: "127.0.0.1", DB_PORT: "1" };

const PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/** Metrics with no series where nothing does TLS, and their labels; see tests/e2e/tls_test.ts. */
const OF_TLS: Readonly<Record<string, readonly string[]>> = {
  treasury_tls_certificate_expiry_seconds: ["certificate"],
};

/** Rows such as ``| `name` | type | `label` `label` | meaning |``. */
async function documentedMetrics(): Promise<Map<string, { type: string; labels: string[] }>> {
  const text = await Deno.readTextFile(join(ROOT, "docs/observability.md"));
  const rows = text.matchAll(/^\| `(\w+)` +\| (counter|gauge|histogram) +\| (.*?) +\|/gm);
  return new Map(Array.from(rows, ([, name = "", type = "", labels = ""]) => {
    return [name, { type, labels: labels.match(/\w+/g) ?? [] }];
  }));
}

Deno.test("the documentation lists exactly the metrics that there are", async () => {
  await using server = await startPostgres();
  await using service = await startService({
    env: { ...databaseEnv(server), DB_MIGRATE_ON_START: "true" },
  });
  await using connection = new RpcConnection(new URL(service.url), WIRES[0]);
  await connection.client(Health).getHealth({});
  await firstOf((options) => connection.client(Health).watchHealth({}, options));
  const metrics = await eventually(async () => {
    const metrics = await scrape(service.url);
    const isComplete = [...metrics.families.values()].every(({ name, samples }) =>
      name in OF_TLS ? samples.length === 0 : samples.length > 0
    );
    return isComplete ? metrics : undefined;
  }, { what: "every metric has a value" });

  const exported = Array.from(metrics.families.values(), ({ name, type, samples }) => {
    const labels = new Set(
      OF_TLS[name] ?? samples.flatMap((sample) => Object.keys(sample.labels)),
    );
    if (type === "histogram") labels.delete("le");
    return [name, { type, labels: [...labels].sort() }];
  });
  const documented = Array.from(await documentedMetrics(), ([name, { type, labels }]) => {
    return [name, { type, labels: labels.sort() }];
  });
  assert.deepEqual(exported.sort(), documented.sort());
});

Deno.test("metrics are in the format that the client prefers", async () => {
  await using service = await startService({ env: NO_DATABASE });
  const read = async (accept: string) => {
    const response = await fetch(`${service.url}/metrics`, { headers: { accept } });
    return { type: response.headers.get("content-type"), text: await response.text() };
  };
  const openMetrics = await read(PROMETHEUS_3);
  assert.equal(openMetrics.type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
  const families = parseMetrics(openMetrics.text, "openmetrics");
  assert.match(openMetrics.text, /^# TYPE db_client_errors counter$/m);

  const plain = await read("text/plain");
  assert.equal(plain.type, "text/plain; version=0.0.4; charset=utf-8");
  assert.match(plain.text, /^# TYPE db_client_errors_total counter$/m);
  assert.deepEqual([...parseMetrics(plain.text).keys()], [...families.keys()]);
});

Deno.test("calls are counted by method, code and protocol", async () => {
  await using service = await startService({ env: NO_DATABASE });
  const name = "rpc_server_call_duration_seconds_count";
  const method = "treasury.v1.Health/GetHealth";
  for (const protocol of ["connect", "grpc-web", "grpc"] as const) {
    const wire = WIRES.find((wire) => wire.protocol === protocol)!;
    await using connection = new RpcConnection(new URL(service.url), wire);
    const client = connection.client(Health);
    await client.getHealth({});
    await assert.rejects(client.getHealth({ dependency: "nobody" }));
    await eventually(async () => {
      const metrics = await scrape(service.url);
      assert.equal(metrics.value(name, { method, code: "ok", protocol }), 1);
      assert.equal(metrics.value(name, { method, code: "not_found", protocol }), 1);
      return true;
    }, { what: `both ${protocol} calls are counted` });
  }
});

Deno.test("a stream is active while it is open, and no slow call after that", async () => {
  await using service = await startService({ env: NO_DATABASE });
  const method = "treasury.v1.Health/WatchHealth";
  const protocol = "grpc";
  const wire = WIRES.find((wire) => wire.protocol === protocol)!;
  await using connection = new RpcConnection(new URL(service.url), wire);
  const active = async () =>
    (await scrape(service.url)).value("rpc_server_active_calls", { method, protocol });
  await firstOf(async function* (options) {
    for await (const news of connection.client(Health).watchHealth({}, options)) {
      assert.equal(await active(), 1);
      yield news;
    }
  });
  await eventually(async () => await active() === 0, { what: "the stream has ended" });
  const metrics = await scrape(service.url);
  const labels = { method, protocol, code: "canceled" };
  assert.equal(metrics.value("rpc_server_stream_duration_seconds_count", labels), 1);
  assert.equal(metrics.value("rpc_server_call_duration_seconds_count", labels), 0);
});

Deno.test("what clients make up adds no series", async () => {
  await using service = await startService({ env: NO_DATABASE });
  const contentTypes = [
    "application/json",
    "application/proto",
    "application/connect+json",
    "application/grpc",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "text/plain",
  ];
  const makeUp = async (round: number) => {
    for (const contentType of contentTypes) {
      for (const path of [`/made.up${round}/Call`, `/treasury.v1.Health/Call${round}`]) {
        const response = await fetch(service.url + path, {
          method: "POST",
          headers: { "content-type": contentType, "x-made-up": String(round) },
          body: "{}",
        });
        await response.body?.cancel();
      }
      const response = await fetch(`${service.url}/treasury.v1.Health/GetHealth`, {
        method: "POST",
        headers: { "content-type": contentType },
        // The same length each time: gRPC reads a length out of it.
        body: `{"made_up":${100 + round}}`,
      });
      await response.body?.cancel();
    }
  };
  const unknown = { method: "unknown", code: "unimplemented" };
  const counted = async (times: number) =>
    await eventually(async () => {
      const metrics = await scrape(service.url);
      for (const [protocol, types] of Object.entries({ connect: 3, grpc: 1, "grpc-web": 2 })) {
        const labels = { ...unknown, protocol };
        const count = metrics.value("rpc_server_call_duration_seconds_count", labels);
        assert.equal(count, 2 * types * times);
      }
      return metrics;
    });

  await makeUp(0);
  const before = (await counted(1)).families.get("rpc_server_call_duration_seconds")!;
  for (let round = 1; round < 20; round++) await makeUp(round);
  const metrics = await counted(20);
  const after = metrics.families.get("rpc_server_call_duration_seconds")!;
  assert.equal(after.samples.length, before.samples.length);
  assert(!metrics.text.includes("made"));
});

Deno.test("METRICS_ADDR: the metrics are there alone, until the end of the shutdown", async () => {
  await using service = await startService({
    env: { ...NO_DATABASE, METRICS_ADDR: "127.0.0.1:0" },
  });
  const { url } = await service.logged("metrics.started");
  const metricsUrl = String(url);
  assert.equal((await scrape(metricsUrl)).value("treasury_server_connections"), 0);

  const [onMainPort, otherPage] = await Promise.all([
    fetch(`${service.url}/metrics`),
    fetch(new URL("/livez", metricsUrl)),
  ]);
  assert.equal(onMainPort.status, 404);
  assert.equal(otherPage.status, 404);
  await Promise.all([onMainPort.body?.cancel(), otherPage.body?.cancel()]);

  await using request = await RawSocket.connect(Number(new URL(service.url).port));
  const call = post("/treasury.v1.Health/GetHealth", "{}");
  request.write(call.slice(0, -1));
  const isRunning = async () =>
    (await scrape(metricsUrl)).value("rpc_server_active_calls", {
      method: "treasury.v1.Health/GetHealth",
      protocol: "connect",
    }) === 1;
  await eventually(isRunning, { what: "the call is running" });
  service.kill("SIGTERM");
  await service.logged("service.stopping");
  assert.equal((await scrape(metricsUrl)).value("treasury_health_ready"), 0);
  assert(await isRunning());
  request.write(call.slice(-1));
  assert.equal((await request.readResponse()).status, 200);
  assert.equal((await service.exited()).code, 0);
});

Deno.test("METRICS_ADDR: an address that is taken is named by its setting", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const env = { ...NO_DATABASE, METRICS_ADDR: `127.0.0.1:${taken.addr.port}` };
  await assert.rejects(startService({ env }), /METRICS_ADDR/);
});

Deno.test("/metrics refuses other methods than GET and HEAD", async () => {
  await using service = await startService({ env: NO_DATABASE });
  await using socket = await RawSocket.connect(Number(new URL(service.url).port));
  socket.write(post("/metrics", "{}"));
  assert.equal((await socket.readResponse()).status, 405);
  socket.write(get("/metrics"));
  assert.match((await socket.readResponse()).body, /^treasury_build_info\{.*\} 1$/m);
});

prometheusTest(
  "promtool finds nothing but OpenTelemetry's name for the number of connections",
  "promtool",
  async (promtool) => {
    await using service = await startService({ env: NO_DATABASE });
    const { text } = await scrape(service.url);
    const child = new Deno.Command(promtool, {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
    const { stdout, stderr } = await child.output();
    const remarks = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.deepEqual(remarks.trim().split("\n"), [
      'db_client_connection_count non-histogram and non-summary metrics should not have "_count" suffix',
    ]);
  },
);
