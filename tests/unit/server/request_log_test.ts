import assert from "node:assert/strict";
import { createLogger } from "../../../src/log/mod.ts";
import { requestLog } from "../../../src/server/request_log.ts";
import { request } from "./request.ts";

// What clients do to a real server is in tests/integration/server_request_log_test.ts.

/** The codes that are logged for requests that end with this outcome. */
function logged() {
  const codes: unknown[] = [];
  const write = (line: string) => void codes.push(JSON.parse(line).code);
  const logger = createLogger({ level: "info", format: "json" }, {
    version: "1",
    destination: { write },
  });
  const handler = requestLog((request) => {
    request.outcome = "ok";
    return { status: 200 };
  }, logger);
  return { codes, handler };
}

Deno.test("a request is logged when its client leaves before the end of the answer", async () => {
  const { codes, handler } = logged();
  const fake = request();
  await handler(fake);
  assert.deepEqual(codes, []);
  fake.leave();
  assert.deepEqual(codes, ["canceled"]);
});

Deno.test("a request is logged once, also when its client leaves afterwards", async () => {
  const { codes, handler } = logged();
  const fake = request();
  await handler(fake);
  fake.finish();
  fake.leave();
  assert.deepEqual(codes, ["ok"]);
});
