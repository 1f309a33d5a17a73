import assert from "node:assert/strict";
import { createContextValues } from "@connectrpc/connect";
import { readableGrpcMessage } from "../../../src/server/grpc_message.ts";
import { type Response, single } from "../../../src/server/handler.ts";

async function sent(message: string, body?: Response["body"]): Promise<string | null> {
  const trailer = new Headers({ "grpc-message": message });
  const handler = readableGrpcMessage(() =>
    Promise.resolve({ status: 200, trailer, ...(body && { body }) })
  );
  const response = await handler({
    httpVersion: "2.0",
    method: "POST",
    url: "http://localhost/",
    header: new Headers(),
    body: single(new Uint8Array()),
    signal: new AbortController().signal,
    contextValues: createContextValues(),
  });
  for await (const _ of response.body ?? []);
  return response.trailer!.get("grpc-message");
}

Deno.test("gRPC message: only what the protocol asks for stays escaped", async () => {
  for (
    const [text, expected] of [
      ["nothing answers at /a.b/C", "nothing answers at /a.b/C"],
      ["a, b: c; d=e & f? [g] 'h' ~", "a, b: c; d=e & f? [g] 'h' ~"],
      ["100% done", "100%25 done"],
      ["%2F", "%252F"],
      ["größer\n", "gr%C3%B6%C3%9Fer%0A"],
    ] as const
  ) {
    assert.equal(await sent(encodeURIComponent(text)), expected);
    assert.equal(decodeURIComponent(expected), text);
  }
});

Deno.test("gRPC message: a trailer that is written while the body is sent", async () => {
  assert.equal(await sent("a%2Fb", single(new Uint8Array(1))), "a/b");
});
