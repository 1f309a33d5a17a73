import assert from "node:assert/strict";
import { createLogger } from "../../../src/log/mod.ts";
import type { Response } from "../../../src/server/handler.ts";
import { requestLog } from "../../../src/server/request_log.ts";
import { request } from "./request.ts";

// What clients do to a real server is in tests/integration/server_request_log_test.ts.

/** The codes that are logged for requests with this answer. */
function logged(answer: Response) {
  const codes: unknown[] = [];
  const write = (line: string) => void codes.push(JSON.parse(line).code);
  const logger = createLogger({ level: "info", format: "json" }, {
    version: "1",
    destination: { write },
  });
  return { codes, handler: requestLog(() => Promise.resolve(answer), logger) };
}

async function* oneChunk(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(1);
}

function wellAnswered(): Response {
  return { status: 200, body: oneChunk(), trailer: new Headers({ "grpc-status": "0" }) };
}

Deno.test("a request whose answer is never asked for is logged when its client leaves", async () => {
  const client = new AbortController();
  const { codes, handler } = logged(wellAnswered());
  await handler(request(client.signal));
  assert.deepEqual(codes, []);
  client.abort();
  assert.deepEqual(codes, ["canceled"]);
});

Deno.test("a request is logged once, also when its client leaves afterwards", async () => {
  const client = new AbortController();
  const { codes, handler } = logged(wellAnswered());
  const { body } = await handler(request(client.signal));
  await Array.fromAsync(body!);
  client.abort();
  assert.deepEqual(codes, ["ok"]);
});
