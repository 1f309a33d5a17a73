import { type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import type { UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";

/** A request whose body is a byte stream, whatever HTTP version carried it. */
export type Request = Omit<UniversalServerRequest, "body" | "contextValues"> & {
  readonly body: AsyncIterable<Uint8Array>;
  readonly contextValues: ContextValues;
};

/** An answer; its body is consumed once. */
export type Response = UniversalServerResponse;

/** Answers one request. Handlers are composed by wrapping. */
export type Handler = (request: Request) => Promise<Response>;

/** Address of the client as `host:port`; empty when it has already left. */
export const peerKey: ContextKey<string> = createContextKey("", { description: "peer" });

/** The path of a request, without its query. Its URL is in normal form, so it need not be parsed. */
export function pathOf({ url }: Pick<Request, "url">): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return url.slice(start, end === -1 ? undefined : end);
}

/** The media type of a request in lower case, without parameters. */
export function contentTypeOf(request: Pick<Request, "header">): string {
  return (request.header.get("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
}

/** A complete answer in bytes or text; a HEAD request gets the header only. */
export function response(
  request: Pick<Request, "method">,
  status: number,
  contentType: string,
  content: string | Uint8Array,
  header: Record<string, string> = {},
): Response {
  const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return {
    status,
    header: new Headers({
      "content-type": contentType,
      "content-length": String(body.byteLength),
      "x-content-type-options": "nosniff",
      ...header,
    }),
    ...(request.method === "HEAD" ? {} : { body: single(body) }),
  };
}

/** A short plain-text answer. */
export function textResponse(
  request: Pick<Request, "method">,
  status: number,
  text: string,
  header?: Record<string, string>,
): Response {
  return response(request, status, "text/plain; charset=utf-8", `${text}\n`, header);
}

/** Answers GET and HEAD, and refuses other methods. */
export function get(answer: (request: Request) => Response | Promise<Response>): Handler {
  return (request) => {
    const allowed = request.method === "GET" || request.method === "HEAD";
    return Promise.resolve(
      allowed
        ? answer(request)
        : textResponse(request, 405, "405 Method Not Allowed: use GET", { allow: "GET, HEAD" }),
    );
  };
}

/** A body of one chunk. */
export async function* single(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}

/** Passes a body on, and calls `done` when it has been sent or given up, if it was ever asked for. */
export async function* whenDone(
  body: AsyncIterable<Uint8Array>,
  done: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    done();
  }
}

/** Calls `done` once, when the answer has been sent or given up. */
export function afterwards(
  request: Pick<Request, "signal">,
  response: Response,
  done: () => void,
): Response {
  let isDone = false;
  const end = () => {
    if (isDone) return;
    isDone = true;
    done();
  };
  // The body of an answer that nobody waits for any more may never be asked for.
  request.signal.addEventListener("abort", end, { once: true });
  if (response.body === undefined || request.signal.aborted) end();
  if (response.body === undefined) return response;
  return { ...response, body: whenDone(response.body, end) };
}
