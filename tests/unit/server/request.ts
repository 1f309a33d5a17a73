import { createContextValues } from "@connectrpc/connect";
import type { Request } from "../../../src/server/handler.ts";

/** A request for `a.B/C` whose client leaves when the signal aborts. */
export function request(signal: AbortSignal, contentType = "application/grpc"): Request {
  return {
    httpVersion: "2.0",
    method: "POST",
    url: "http://localhost/a.B/C",
    header: new Headers({ "content-type": contentType }),
    body: (async function* () {})(),
    signal,
    contextValues: createContextValues(),
  };
}
