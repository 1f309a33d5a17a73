import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AccessMode,
  CircuitState,
  type DependencyHealth,
  DependencyHealthSchema,
  ServiceStatus,
} from "../../../gen/treasury/v1/health_pb.ts";
import { type HealthReport, sameStory, summarize } from "../../../src/health/report.ts";

const NOW = new Date("2025-01-10T10:30:00.987Z");

function dependency(init: MessageInitShape<typeof DependencyHealthSchema> = {}): DependencyHealth {
  return create(DependencyHealthSchema, {
    name: "ledger-service",
    status: ServiceStatus.HEALTHY,
    message: "Ledger service is healthy",
    isCritical: true,
    lastCheck: "2025-01-10T10:30:00Z",
    responseTimeMs: 15,
    ...init,
  });
}

Deno.test("summarize: the report ends with the last check and takes as long as the slowest", () => {
  const report = summarize([
    dependency({ lastCheck: "2025-01-10T10:30:07Z", responseTimeMs: 8 }),
    dependency({ lastCheck: "2025-01-10T10:30:05Z", responseTimeMs: 15 }),
  ], NOW);
  assert.equal(report.checkedAt, "2025-01-10T10:30:07Z");
  assert.equal(report.checkDurationMs, 15);
});

Deno.test("summarize: a report on nothing is of now and took no time", () => {
  const report = summarize([], NOW);
  assert.equal(report.checkedAt, "2025-01-10T10:30:00Z");
  assert.equal(report.checkDurationMs, 0);
});

const report = (init?: MessageInitShape<typeof DependencyHealthSchema>) =>
  summarize([dependency(init)], NOW);

const news: [string, HealthReport | undefined][] = [
  ["status", report({ status: ServiceStatus.DEGRADED })],
  ["message", report({ message: "Ledger service is tired" })],
  ["error code", report({ errorCode: "NOT_SERVING" })],
  ["access mode", report({ accessMode: AccessMode.READ_ONLY })],
  ["circuit state", report({ circuitState: CircuitState.OPEN })],
  ["one more dependency", summarize([dependency(), dependency({ name: "other" })], NOW)],
  ["the service's status alone", { ...report(), status: ServiceStatus.UNHEALTHY }],
  ["the service's message alone", { ...report(), message: "Service is shutting down" }],
  ["no report", undefined],
];
for (const [what, other] of news) {
  Deno.test(`sameStory: ${what} is news`, () => assert(!sameStory(report(), other)));
}

const noNews: [string, MessageInitShape<typeof DependencyHealthSchema>][] = [
  ["the time of the check", { lastCheck: "2025-01-10T10:31:00Z" }],
  ["the response time", { responseTimeMs: 16 }],
  ["the wording of the error", { error: "Waited 31 ms." }],
  ["the pool", { config: { poolInfo: { waiting: 1 } } }],
];
for (const [what, init] of noNews) {
  Deno.test(`sameStory: ${what} is no news`, () => assert(sameStory(report(), report(init))));
}

Deno.test("sameStory: two absent reports are the same", () => {
  assert(sameStory(undefined, undefined));
});
