import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import {
  Freshness,
  ServiceStatus,
  WatchHealthResponse_Reason as Reason,
} from "../../../gen/treasury/v1/health_pb.ts";
import { settle } from "./manual_clock.ts";
import { HEARTBEAT_MS, messages, Rpc } from "./rpc.ts";
import { DEGRADED, HEALTHY, UNHEALTHY } from "./scripted_checker.ts";

Deno.test("GetHealth: the whole report, with version and uptime", async () => {
  const { health, rates } = new Rpc();
  rates.finding = DEGRADED;
  const response = await health.getHealth({});
  assert.equal(response.status, ServiceStatus.DEGRADED);
  assert.equal(response.message, "Service is degraded because of rates (Slow)");
  assert.deepEqual(response.dependencies.map(({ name }) => name), ["ledger", "rates"]);
  assert.equal(response.checkedAt, "2025-01-10T10:30:00Z");
  assert.equal(response.version, "1.2.3");
  assert.equal(response.uptimeSeconds, 61);
  const [ledger, slow] = response.dependencies;
  assert.equal(ledger!.error, undefined);
  assert.equal(slow!.error, "It is slow.");
  assert.equal(slow!.errorCode, "SLOW");
});

Deno.test("GetHealth: one dependency with its own verdict", async () => {
  const { health, ledger, rates } = new Rpc();
  rates.finding = UNHEALTHY;
  const response = await health.getHealth({ dependency: "rates" });
  assert.equal(response.status, ServiceStatus.DEGRADED);
  assert.deepEqual(response.dependencies.map(({ name }) => name), ["rates"]);
  assert.equal(ledger.checks, 0);
});

Deno.test("GetHealth: fresh unless asked for the cached result", async () => {
  const { health, ledger } = new Rpc();
  await health.getHealth({ freshness: Freshness.CACHED });
  assert.equal(ledger.checks, 1, "the first one has to check");
  await health.getHealth({ freshness: Freshness.CACHED });
  assert.equal(ledger.checks, 1);
  await health.getHealth({ freshness: Freshness.FRESH });
  assert.equal(ledger.checks, 2);
  await health.getHealth({});
  assert.equal(ledger.checks, 3);
});

Deno.test("GetHealth: an unknown dependency is NOT_FOUND", async () => {
  const { health } = new Rpc();
  const error = {
    code: Code.NotFound,
    rawMessage: /Unknown dependency "x"; known dependencies: ledger, rates/,
  };
  await assert.rejects(health.getHealth({ dependency: "x" }), error);
  await assert.rejects(
    health.getHealth({ dependency: "x", freshness: Freshness.CACHED }),
    error,
  );
});

Deno.test("GetHealth: a deadline that passes ends the call, not the check", async () => {
  const { health, ledger } = new Rpc();
  const release = ledger.hold();
  await assert.rejects(health.getHealth({}, { timeoutMs: 1 }), { code: Code.DeadlineExceeded });
  const late = health.getHealth({});
  await settle();
  assert.equal(ledger.checks, 1);
  release();
  assert.equal((await late).status, ServiceStatus.HEALTHY);
});

Deno.test("WatchHealth: the health at once, each change, and heartbeats between", async () => {
  const { clock, health, ledger, registry } = new Rpc();
  const leave = new AbortController();
  const stream = messages(health.watchHealth({}, { signal: leave.signal }));

  const first = await stream.next();
  assert.equal(first.reason, Reason.INITIAL);
  assert.equal(first.health?.status, ServiceStatus.HEALTHY);

  let next = stream.next();
  await settle();
  ledger.finding = UNHEALTHY;
  await registry.check();
  const change = await next;
  assert.equal(change.reason, Reason.CHANGE);
  assert.equal(change.health?.status, ServiceStatus.UNHEALTHY);

  next = stream.next();
  await clock.advance(HEARTBEAT_MS);
  const beat = await next;
  assert.equal(beat.reason, Reason.HEARTBEAT);
  assert.equal(beat.health?.status, ServiceStatus.UNHEALTHY);
  assert.equal(beat.health?.uptimeSeconds, 61 + HEARTBEAT_MS / 1000);

  next = stream.next();
  leave.abort();
  await assert.rejects(next, { code: Code.Canceled });
  await settle();
  assert.equal(clock.timers, 0, "nothing stays behind");
});

Deno.test("WatchHealth: says what has changed lately, but not in heartbeats", async () => {
  const { clock, health, rates, registry } = new Rpc();
  const leave = new AbortController();
  await registry.check();
  rates.finding = UNHEALTHY;
  await registry.check();
  const stream = messages(
    health.watchHealth({ dependency: "rates" }, { signal: leave.signal }),
  );
  const { recentEvents } = await stream.next();
  assert.deepEqual(recentEvents.map(({ dependency, status }) => [dependency, status]), [
    ["rates", ServiceStatus.HEALTHY],
    ["rates", ServiceStatus.UNHEALTHY],
  ]);

  let next = stream.next();
  rates.finding = HEALTHY;
  await settle();
  await registry.check();
  assert.equal((await next).recentEvents.length, 3);

  next = stream.next();
  await clock.advance(HEARTBEAT_MS);
  assert.deepEqual((await next).recentEvents, []);
  leave.abort();
  await assert.rejects(stream.next(), { code: Code.Canceled });
});

Deno.test("WatchHealth: of one dependency only what concerns it", async () => {
  const { health, ledger, rates, registry } = new Rpc();
  const leave = new AbortController();
  const stream = messages(health.watchHealth({ dependency: "rates" }, { signal: leave.signal }));
  await stream.next();
  const next = stream.next();
  ledger.finding = UNHEALTHY;
  await registry.check();
  await settle();
  rates.finding = DEGRADED;
  await registry.check();
  const change = await next;
  assert.equal(change.health?.message, "Service is degraded because of rates (Slow)");
  assert.equal(change.health?.dependencies.length, 1);
  leave.abort();
  await assert.rejects(stream.next(), { code: Code.Canceled });
});

Deno.test("WatchHealth: a slow reader gets the latest health", async () => {
  const { health, ledger, registry } = new Rpc();
  const leave = new AbortController();
  const stream = messages(health.watchHealth({}, { signal: leave.signal }));
  await stream.next();
  for (const finding of [UNHEALTHY, HEALTHY, UNHEALTHY, HEALTHY, DEGRADED]) {
    ledger.finding = finding;
    await registry.check();
  }
  let last = await stream.next();
  while (last.health?.status !== ServiceStatus.DEGRADED) last = await stream.next();
  leave.abort();
  await assert.rejects(stream.next(), { code: Code.Canceled });
});

Deno.test("WatchHealth: shutting down is the last news before UNAVAILABLE", async () => {
  const { clock, health, registry, shutdown } = new Rpc();
  const stream = messages(health.watchHealth({}));
  await stream.next();
  registry.beginShutdown();
  shutdown.abort();
  const last = await stream.next();
  assert.equal(last.health?.status, ServiceStatus.UNHEALTHY);
  assert.equal(last.health?.message, "Service is shutting down");
  await assert.rejects(stream.next(), { code: Code.Unavailable });
  assert.equal(clock.timers, 0);
});

Deno.test("WatchHealth: an unknown dependency is NOT_FOUND", async () => {
  const { health } = new Rpc();
  const stream = messages(health.watchHealth({ dependency: "x" }));
  await assert.rejects(stream.next(), { code: Code.NotFound });
});

Deno.test("WatchHealth: a deadline ends the stream with DEADLINE_EXCEEDED", async () => {
  const { clock, health } = new Rpc();
  const stream = messages(health.watchHealth({}, { timeoutMs: 50 }));
  await assert.rejects(
    async () => {
      while (true) await stream.next();
    },
    { code: Code.DeadlineExceeded },
  );
  await settle();
  assert.equal(clock.timers, 0);
});
