import type { Request } from "../../../src/server/handler.ts";

/** A request for `a.B/C`, and what its connection does. */
export interface FakeRequest extends Request {
  /** All of the answer has been sent. */
  finish(): void;
  /** The client leaves before that. */
  leave(): void;
}

/** A request whose answer goes nowhere. */
export function request(contentType = "application/grpc"): FakeRequest {
  const header = new Headers({ "content-type": contentType });
  const controller = new AbortController();
  const listeners: (() => void)[] = [];
  let state: "running" | "finished" | "left" = "running";
  const end = (how: "finished" | "left") => {
    if (state !== "running") return;
    state = how;
    listeners.forEach((listener) => listener());
  };
  return {
    httpVersion: "2.0",
    method: "POST",
    path: "/a.B/C",
    url: "http://localhost/a.B/C",
    target: "/a.B/C",
    peer: "127.0.0.1:1",
    hasClientCertificate: false,
    header,
    body: { bytes: () => Promise.resolve(new Uint8Array()), async *[Symbol.asyncIterator]() {} },
    signal: controller.signal,
    get hasLeft() {
      return state === "left";
    },
    outcome: undefined,
    run: (action) => action(),
    field: (name) => header.get(name) ?? undefined,
    abort: (reason) => controller.abort(reason),
    onEnd: (listener) => state === "running" ? void listeners.push(listener) : listener(),
    finish: () => end("finished"),
    leave: () => end("left"),
  };
}
