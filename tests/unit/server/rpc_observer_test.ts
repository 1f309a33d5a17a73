import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import type { Handler } from "../../../src/server/handler.ts";
import { observed, type RpcCall } from "../../../src/server/rpc/rpc_observer.ts";
import { request } from "./request.ts";

const METHOD = { method: "a.B/C", isStream: false };

/** A handler under observation, and what was observed. */
function observe(inner: Handler) {
  const begun: RpcCall[] = [];
  const ended: string[] = [];
  const handler = observed(inner, {
    begin: (call) => {
      begun.push(call);
      return { end: (code) => void ended.push(code) };
    },
  }, METHOD);
  return { handler, begun, ended };
}

const answer: Handler = (request) => {
  request.outcome = "ok";
  return { status: 200, body: new Uint8Array(1) };
};

Deno.test("a call ends once, when its answer has been sent", async () => {
  const { handler, begun, ended } = observe(answer);
  const fake = request();
  await handler(fake);
  assert.deepEqual(begun, [{ ...METHOD, protocol: "grpc" }]);
  assert.deepEqual(ended, []);
  fake.finish();
  fake.leave();
  assert.deepEqual(ended, ["ok"]);
});

Deno.test("a call ends when its client leaves before the end of the answer", async () => {
  const { handler, ended } = observe(answer);
  const fake = request();
  await handler(fake);
  assert.deepEqual(ended, []);
  fake.leave();
  assert.deepEqual(ended, ["canceled"]);
});

Deno.test("a call of a client that has left already ends", async () => {
  const { handler, ended } = observe(answer);
  const fake = request();
  fake.leave();
  await handler(fake);
  assert.deepEqual(ended, ["canceled"]);
});

Deno.test("a refusal before the RPC counts by its HTTP status", async () => {
  const { handler, ended } = observe(() => ({ status: 503 }));
  const fake = request("application/json");
  await handler(fake);
  fake.finish();
  assert.deepEqual(ended, ["unavailable"]);
});

Deno.test("a call whose handler fails ends too", async () => {
  const { handler, ended } = observe(() => Promise.reject(new Error("a bug")));
  const fake = request();
  await assert.rejects(async () => await handler(fake), /a bug/);
  fake.leave();
  assert.deepEqual(ended, ["internal"]);
});

Deno.test("plain HTTP is no call", async () => {
  const { handler, begun } = observe(() => ({ status: 200 }));
  await handler(request("text/plain"));
  assert.deepEqual(begun, []);
});

Deno.test("an observer can run the handler in its own asynchronous context", async () => {
  const context = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const look = () => void seen.push(context.getStore());
  const body = async function* () {
    try {
      look();
      yield new Uint8Array(1);
      look();
      yield new Uint8Array(1);
    } finally {
      look();
    }
  };
  const handler = observed(async (request) => {
    await Promise.resolve();
    look();
    request.run(look);
    return { status: 200, body: body() };
  }, {
    begin: () => ({ run: (handle) => context.run("span", handle), end: () => {} }),
  }, METHOD);
  const answer = await handler(request());
  for await (const _ of answer.body as AsyncIterable<Uint8Array>) if (seen.length === 4) break;
  assert.deepEqual(seen, Array(5).fill("span"));
});
