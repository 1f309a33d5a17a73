import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  DependencyType,
  GetHealthResponseSchema,
  HealthEventSchema,
  ServiceStatus,
} from "../../../../gen/treasury/v1/health_pb.ts";
import { ageOf, duration } from "../../../../src/commands/status/duration.ts";
import { exitCodeOf } from "../../../../src/commands/status/sighting.ts";
import { paint } from "../../../../src/commands/status/text.ts";
import { view } from "../../../../src/commands/status/view.ts";

const NOW = Date.parse("2026-02-03T04:05:06Z");
const url = "http://localhost:8080";

function answer(status: ServiceStatus, message = "all is as it is") {
  const health = create(GetHealthResponseSchema, {
    status,
    message,
    version: "1.2.3",
    uptimeSeconds: 3_720,
    dependencies: [{
      name: "peer",
      type: DependencyType.GRPC_SERVICE,
      status,
      message: "peer says so",
      errorCode: "NOT_SERVING",
      config: { hostname: "peer.internal", port: 50_051, protocol: "grpc" },
      lastCheck: "2026-02-03T04:04:56Z",
      responseTimeMs: 7,
    }],
  });
  return { health, events: [] };
}

const plain = (lines: ReturnType<typeof view>) =>
  lines.map((line) => paint(line, { colors: false }));

Deno.test("status view: a dependency that is no database has no pool, access or circuit", () => {
  assert.deepEqual(plain(view({ url, answer: answer(ServiceStatus.DEGRADED) }, NOW)), [
    "Treasury Service 1.2.3  http://localhost:8080, up 1 h 2 min",
    "▲ DEGRADED  all is as it is",
    "",
    "peer (not critical)  ▲ DEGRADED  peer says so (NOT_SERVING)",
    "  where    grpc://peer.internal:50051",
    "  checked  10 s ago, took 7 ms",
  ]);
});

Deno.test("status view: a problem comes first, and makes what is known stale", () => {
  const known = { url, answer: answer(ServiceStatus.HEALTHY), answeredAt: NOW - 90_000 };
  const [first, second] = plain(view({ ...known, problem: "Connection refused" }, NOW));
  assert.equal(first, "✖ UNREACHABLE  http://localhost:8080: Connection refused");
  assert.equal(second, "STALE: last response 1 min 30 s ago");
  assert.equal(view({ url, problem: "no response in time" }, NOW).length, 1);
});

Deno.test("status view: the latest changes, with how long an outage was", () => {
  const events = Array.from({ length: 20 }, (_, index) =>
    create(HealthEventSchema, {
      time: `2026-02-03T04:05:${String(index).padStart(2, "0")}.000Z`,
      dependency: index % 2 === 0 ? "peer" : "",
      status: ServiceStatus.HEALTHY,
      message: "back",
      outageMs: 65_000,
    }));
  const lines = plain(view({ url, answer: { ...answer(ServiceStatus.HEALTHY), events } }, NOW));
  assert.equal(lines.filter((line) => line.includes("after 1 min 5 s")).length, 8);
  assert.equal(
    lines.at(-1),
    "  2026-02-03T04:05:19.000Z  service  ● HEALTHY  back, after 1 min 5 s",
  );
});

Deno.test("status view: a service cannot send control sequences to the terminal", () => {
  const evil = answer(ServiceStatus.HEALTHY, "\x1b]0;owned\x07\r\x9b31m\u202e");
  const text = view({ url, answer: evil }, NOW).map((line) => paint(line, { colors: true })).join(
    "",
  );
  // deno-lint-ignore no-control-regex -- they are what is looked for
  assert.equal(/[\x00-\x1f\x7f-\x9f\u202e]/.test(text.replace(/\x1b\[\d+m/g, "")), false);
});

Deno.test("status text: a line is cut at the width, whatever its styles", () => {
  const line = ["abc", { text: "def", style: "red" }, "ghi"] as const;
  assert.equal(paint(line, { colors: false, columns: 5 }), "abcde");
  assert.equal(paint(line, { colors: true, columns: 5 }), "abc\x1b[31mde\x1b[39m");
});

Deno.test("status exit codes: as monitoring plugins have them", () => {
  const { HEALTHY, DEGRADED, UNHEALTHY, SERVICE_STATUS_UNSPECIFIED } = ServiceStatus;
  const codes = [HEALTHY, DEGRADED, UNHEALTHY, SERVICE_STATUS_UNSPECIFIED].map((one) =>
    exitCodeOf(answer(one))
  );
  assert.deepEqual(codes, [0, 1, 2, 3]);
  assert.equal(exitCodeOf({ problem: "none" }), 3);
});

const durations: [number, string][] = [
  [-5, "0 s"],
  [59_999, "59 s"],
  [60_000, "1 min"],
  [3_599_000, "59 min 59 s"],
  [3_600_000, "1 h"],
  [90_000_000, "1 d 1 h"],
];
for (const [ms, text] of durations) {
  Deno.test(`status duration: ${ms} ms is ${text}`, () => assert.equal(duration(ms), text));
}

Deno.test("status duration: a time that cannot be read has no age", () => {
  assert.equal(ageOf("", NOW), "?");
  assert.equal(ageOf("2026-02-03T04:05:03Z", NOW), "3 s");
});
