import assert from "node:assert/strict";
import { AccessMode, CircuitState, ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import { accessWord, circuitWord, duration, moment, statusWords } from "../../../web/view/words.ts";

Deno.test("words: durations, each in the unit that fits", () => {
  const words = [0, 999.4, 1000, 9949, 10_000, 59_400, 59_600, 125_000, 3_780_000, 353_000_000]
    .map(duration);
  assert.deepEqual(words, [
    "0 ms",
    "999 ms",
    "1.0 s",
    "9.9 s",
    "10 s",
    "59 s",
    "1 min 0 s",
    "2 min 5 s",
    "1 h 3 min",
    "4 d 2 h",
  ]);
});

Deno.test("words: a moment names its time zone", () => {
  const time = "2026-11-23T17:19:02.617Z";
  const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" })
    .formatToParts(new Date(time)).find(({ type }) => type === "timeZoneName")?.value;
  assert.ok(zone);
  assert.match(moment(time), /2026.*:\d\d:02/);
  assert.ok(moment(time).endsWith(zone), moment(time));
});

Deno.test("words: every status has a distinct symbol and word", () => {
  const statuses = [
    ServiceStatus.SERVICE_STATUS_UNSPECIFIED,
    ServiceStatus.HEALTHY,
    ServiceStatus.DEGRADED,
    ServiceStatus.UNHEALTHY,
  ].map(statusWords);
  assert.equal(new Set(statuses.map(({ symbol }) => symbol)).size, 4);
  assert.equal(new Set(statuses.map(({ word }) => word)).size, 4);
});

Deno.test("words: a status from the future is unknown", () => {
  assert.equal(statusWords(99 as ServiceStatus).word, "Unknown");
  assert.equal(accessWord(99 as AccessMode), "unknown");
});

Deno.test("words: access and circuit, where there are any", () => {
  assert.equal(accessWord(AccessMode.READ_ONLY), "read-only");
  assert.equal(circuitWord(CircuitState.HALF_OPEN), "half-open");
  assert.equal(accessWord(undefined), undefined);
  assert.equal(circuitWord(undefined), undefined);
});
