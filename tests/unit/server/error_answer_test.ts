import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { grpcStatus } from "../../../src/server/error_answer.ts";

Deno.test("gRPC message: only what the protocol requires stays escaped", () => {
  for (
    const [text, expected] of [
      ["unknown path /a.b/C", "unknown path /a.b/C"],
      ["a, b: c; d=e & f? [g] 'h' ~", "a, b: c; d=e & f? [g] 'h' ~"],
      ["100% done", "100%25 done"],
      ["%2F", "%252F"],
      ["größer\n", "gr%C3%B6%C3%9Fer%0A"],
    ] as const
  ) {
    const status = grpcStatus(new ConnectError(text, Code.NotFound));
    assert.equal(status.get("grpc-message"), expected);
    assert.equal(decodeURIComponent(expected), text);
  }
});
