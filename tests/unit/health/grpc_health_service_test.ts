import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../../gen/grpc/health/v1/health_pb.ts";
import { settle } from "./manual_clock.ts";
import { messages, Rpc } from "./rpc.ts";
import { DEGRADED, HEALTHY, UNHEALTHY } from "./scripted_checker.ts";

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = ServingStatus;
const READY_NAMES = ["", "treasury.v1.Health", "readiness"];

async function statuses({ grpcHealth }: Rpc): Promise<Record<string, ServingStatus>> {
  const { statuses } = await grpcHealth.list({});
  const seen: Record<string, ServingStatus> = {};
  for (const [name, { status }] of Object.entries(statuses)) {
    const check = await grpcHealth.check({ service: name });
    assert.equal(check.status, status, `Check and List agree on "${name}"`);
    seen[name] = status;
  }
  return seen;
}

const all = (ready: ServingStatus) => ({
  ...Object.fromEntries(READY_NAMES.map((name) => [name, ready])),
  liveness: SERVING,
});

Deno.test("Check and List: readiness follows the dependencies, liveness does not", async () => {
  const rpc = new Rpc();
  assert.deepEqual(await statuses(rpc), all(NOT_SERVING), "before the first check");
  await rpc.registry.check();
  assert.deepEqual(await statuses(rpc), all(SERVING));
  rpc.ledger.finding = DEGRADED;
  await rpc.registry.check();
  assert.deepEqual(await statuses(rpc), all(SERVING), "DEGRADED still serves");
  rpc.ledger.finding = UNHEALTHY;
  await rpc.registry.check();
  assert.deepEqual(await statuses(rpc), all(NOT_SERVING));
});

Deno.test("Check: asks no dependency, so that probes cost nothing", async () => {
  const rpc = new Rpc();
  await rpc.registry.check();
  await statuses(rpc);
  assert.equal(rpc.ledger.checks, 1);
});

Deno.test("Check: an unknown service is NOT_FOUND and names the known ones", async () => {
  const { grpcHealth } = new Rpc();
  await assert.rejects(grpcHealth.check({ service: "ledger" }), {
    code: Code.NotFound,
    rawMessage: /known services: "", "treasury.v1.Health", "readiness", "liveness"/,
  });
});

for (const service of READY_NAMES) {
  Deno.test(`Watch "${service}": the status at once and its changes`, async () => {
    const { grpcHealth, ledger, registry } = new Rpc();
    const leave = new AbortController();
    const stream = messages(grpcHealth.watch({ service }, { signal: leave.signal }));
    assert.equal((await stream.next()).status, NOT_SERVING, "without waiting for a check");
    await registry.check();
    assert.equal((await stream.next()).status, SERVING);
    const next = stream.next();
    ledger.finding = DEGRADED;
    await registry.check();
    await settle();
    ledger.finding = UNHEALTHY;
    await registry.check();
    assert.equal((await next).status, NOT_SERVING, "DEGRADED was no news");
    ledger.finding = HEALTHY;
    await registry.check();
    assert.equal((await stream.next()).status, SERVING);
    leave.abort();
    await assert.rejects(stream.next(), { code: Code.Canceled });
  });
}

Deno.test("Watch: an unknown service is told so, and the stream stays open", async () => {
  const { grpcHealth, registry, shutdown } = new Rpc();
  const stream = messages(grpcHealth.watch({ service: "ledger" }));
  assert.equal((await stream.next()).status, SERVICE_UNKNOWN);
  let ended = false;
  const next = stream.next();
  void next.catch(() => ended = true);
  await registry.check();
  await settle();
  assert(!ended);
  shutdown.abort();
  await assert.rejects(next, { code: Code.Unavailable });
});

Deno.test("shutdown: NOT_SERVING before the streams end, but alive to the end", async () => {
  const rpc = new Rpc();
  const { grpcHealth, registry, shutdown } = rpc;
  await registry.check();
  const readiness = messages(grpcHealth.watch({}));
  const liveness = messages(grpcHealth.watch({ service: "liveness" }));
  assert.equal((await readiness.next()).status, SERVING);
  assert.equal((await liveness.next()).status, SERVING);
  shutdown.abort();
  assert.equal((await readiness.next()).status, NOT_SERVING);
  await assert.rejects(readiness.next(), { code: Code.Unavailable });
  await assert.rejects(liveness.next(), { code: Code.Unavailable });
  assert.deepEqual(await statuses(rpc), all(NOT_SERVING));
});
