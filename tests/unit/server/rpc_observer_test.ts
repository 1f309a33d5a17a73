import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import type { Handler, Response } from "../../../src/server/handler.ts";
import { inRpcKey, observed, type RpcCall } from "../../../src/server/rpc_observer.ts";
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

async function* twoChunks(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(1);
  yield new Uint8Array(1);
}

function answer(): Response {
  return { status: 200, body: twoChunks(), trailer: new Headers({ "grpc-status": "0" }) };
}

Deno.test("a call ends once, when its answer has been read", async () => {
  const client = new AbortController();
  const { handler, begun, ended } = observe(() => Promise.resolve(answer()));
  const { body } = await handler(request(client.signal));
  assert.deepEqual(begun, [{ ...METHOD, protocol: "grpc" }]);
  for await (const _ of body as AsyncIterable<Uint8Array>) assert.deepEqual(ended, []);
  client.abort();
  assert.deepEqual(ended, ["ok"]);
});

Deno.test("a call ends when its client leaves before the answer was asked for", async () => {
  const client = new AbortController();
  const { handler, ended } = observe(() => Promise.resolve(answer()));
  await handler(request(client.signal));
  assert.deepEqual(ended, []);
  client.abort();
  assert.deepEqual(ended, ["canceled"]);
});

Deno.test("a call of a client that has left already ends", async () => {
  const { handler, ended } = observe(() => Promise.resolve(answer()));
  await handler(request(AbortSignal.abort()));
  assert.deepEqual(ended, ["canceled"]);
});

Deno.test("a refusal before the RPC counts by its HTTP status", async () => {
  const { handler, ended } = observe(() => Promise.resolve({ status: 503 }));
  await handler(request(new AbortController().signal, "application/json"));
  assert.deepEqual(ended, ["unavailable"]);
});

Deno.test("a call whose handler fails ends too", async () => {
  const { handler, ended } = observe(() => Promise.reject(new Error("a bug")));
  await assert.rejects(handler(request(new AbortController().signal)), /a bug/);
  assert.deepEqual(ended, ["internal"]);
});

Deno.test("plain HTTP is no call", async () => {
  const { handler, begun } = observe(() => Promise.resolve({ status: 200 }));
  await handler(request(new AbortController().signal, "text/plain"));
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
    request.contextValues.get(inRpcKey)(look);
    return { status: 200, body: body() };
  }, {
    begin: () => ({ run: (handle) => context.run("span", handle), end: () => {} }),
  }, METHOD);
  const answer = await handler(request(new AbortController().signal));
  for await (const _ of answer.body as AsyncIterable<Uint8Array>) if (seen.length === 4) break;
  assert.deepEqual(seen, Array(5).fill("span"));
});
