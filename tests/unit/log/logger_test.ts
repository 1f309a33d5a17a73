import assert from "node:assert/strict";
import { Secret } from "../../../src/config/secret.ts";
import type { LogConfig } from "../../../src/config/mod.ts";
import { createLogger, type Logger, Redactor } from "../../../src/log/mod.ts";

const SECRET = 'hunter2"ü';

function logged(config: Partial<LogConfig>, log: (logger: Logger) => void): string[] {
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", format: "json", ...config }, {
    version: "1.2.3",
    redactor: new Redactor([SECRET]),
    destination: { write: (line) => void lines.push(line) },
  });
  log(logger);
  return lines;
}

Deno.test("logger: one line of JSON a record, with time, level, service and version", () => {
  const lines = logged({}, (logger) => logger.info({ event: "test.ran", count: 0 }, "it ran"));
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^\{.*\}\n$/);
  const { time, ...record } = JSON.parse(lines[0]!);
  assert.equal(new Date(time).toISOString(), time);
  assert.deepEqual(record, {
    level: "info",
    service: "treasury-service",
    version: "1.2.3",
    event: "test.ran",
    count: 0,
    msg: "it ran",
  });
});

Deno.test("logger: records below the level are dropped", () => {
  const all = (logger: Logger) => {
    for (const level of ["debug", "info", "warn", "error", "fatal"] as const) logger[level](level);
  };
  const levels = (level: LogConfig["level"]) =>
    logged({ level }, all).map((line) => JSON.parse(line).level);
  assert.deepEqual(levels("debug"), ["debug", "info", "warn", "error", "fatal"]);
  assert.deepEqual(levels("warn"), ["warn", "error", "fatal"]);
  assert.deepEqual(levels("error"), ["error", "fatal"]);
});

Deno.test("logger: fields that hold secrets are hidden, at the top and one level down", () => {
  const fields = { password: "abcdefg", token: 12_345, authorization: "Bearer abcdefg" };
  const [line] = logged({}, (logger) => logger.info({ ...fields, request: fields, user: "me" }));
  const record = JSON.parse(line!);
  const hidden = { password: "[redacted]", token: "[redacted]", authorization: "[redacted]" };
  assert.deepEqual(record.request, hidden);
  assert.deepEqual({ ...record, ...hidden }, record);
  assert.equal(record.user, "me");
});

Deno.test("logger: known secrets are hidden in errors, their causes and stacks", () => {
  for (const format of ["json", "pretty"] as const) {
    const cause = new AggregateError([new Error(`inner ${SECRET}`)], `cause ${SECRET}`);
    const err = Object.assign(new Error(`cannot use ${SECRET}`, { cause }), { detail: SECRET });
    const text = logged({ format }, (logger) => logger.error({ err }, `failed: ${SECRET}`)).join(
      "",
    );
    assert.match(text, /cannot use \[redacted\]/);
    assert.match(text, /cause \[redacted\]/);
    assert.match(text, /logger_test\.ts/);
    assert.doesNotMatch(text, /hunter2/);
  }
});

Deno.test("logger: URLs and values of type Secret are hidden without being known", () => {
  for (const format of ["json", "pretty"] as const) {
    const url = "postgresql://user:abcdefg@localhost/treasury";
    const text = logged({ format }, (logger) => logger.info({ url, value: new Secret("abcdefg") }))
      .join("");
    assert.match(text, /postgresql:\/\/\[redacted\]@localhost/);
    assert.doesNotMatch(text, /abcdefg/);
  }
});

Deno.test("logger: pretty lines are for people: time, level, message, fields", () => {
  const lines = logged({ format: "pretty" }, (logger) => {
    logger.warn({ event: "test.ran", attempt: 3 }, "trying again");
  });
  assert.match(lines.join(""), /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: trying again \{"attempt":3\}\n$/);
});
