import type { Code } from "@connectrpc/connect";

/** Header or trailer fields that a response sends; names are in lower case. */
export type Fields = Readonly<Record<string, string | readonly string[]>>;

/** The body of a request. Read once, either whole or in chunks. */
export interface RequestBody extends AsyncIterable<Uint8Array> {
  /**
   * Reads the whole body.
   *
   * @throws {ConnectError} RESOURCE_EXHAUSTED above `maxBytes`; DEADLINE_EXCEEDED after
   * `timeoutMs`; CANCELED if the client disconnects first.
   */
  bytes(limits: BodyLimits): Promise<Uint8Array>;
}

/** Limits of {@linkcode RequestBody.bytes}. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** Called with the bytes so far until it returns true; what it throws ends the reading. */
  readonly inspect?: ((start: Uint8Array) => boolean) | undefined;
}

/** A request, independent of the HTTP version. Expensive values are computed on demand. */
export interface Request {
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string;
  readonly method: string;
  /** Normalized, without the query. */
  readonly path: string;
  readonly url: string;
  /** As sent: a path with its query, or a whole URL. */
  readonly target: string;
  /** Address of the client as `host:port`; empty if it has already disconnected. */
  readonly peer: string;
  /** Whether the client has a valid client certificate. */
  readonly hasClientCertificate: boolean;
  readonly header: Headers;
  readonly body: RequestBody;
  /** Aborts when the client disconnects before the end of the answer, and on {@linkcode abort}. */
  readonly signal: AbortSignal;
  /** Whether the client has disconnected before the end of the answer. */
  readonly hasLeft: boolean;
  /** Result of the RPC; undefined until it ends, and for requests that are no RPC. */
  outcome: Code | "ok" | undefined;
  /** Runs a function in the asynchronous context of the RPC. */
  run: <T>(action: () => T) => T;
  /** Returns a header field by its name in lower case. */
  field(name: string): string | undefined;
  /** Aborts {@linkcode signal}. */
  abort(reason: unknown): void;
  /** Calls the listener when the answer has been sent or abandoned. */
  onEnd(listener: () => void): void;
}

/** An answer. A body in chunks is consumed once. */
export interface Response {
  readonly status: number;
  readonly header?: Fields;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Called at the end of the body. */
  readonly trailer?: (() => Fields) | undefined;
}

/** Answers one request. Handlers are composed by wrapping. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** Returns the media type of a request in lower case, without parameters. */
export function contentTypeOf(request: Pick<Request, "field">): string {
  const text = request.field("content-type") ?? "";
  const end = text.indexOf(";");
  return (end === -1 ? text : text.slice(0, end)).trim().toLowerCase();
}

/** Creates a complete answer from bytes or text. */
export function response(
  status: number,
  contentType: string,
  content: string | Uint8Array,
  header: Fields = {},
): Response {
  const body = typeof content === "string" ? encoder.encode(content) : content;
  return {
    status,
    header: {
      "content-type": contentType,
      "content-length": String(body.byteLength),
      "x-content-type-options": "nosniff",
      ...header,
    },
    body,
  };
}

const encoder = new TextEncoder();

/** Creates a plain-text answer. */
export function textResponse(status: number, text: string, header?: Fields): Response {
  return response(status, "text/plain; charset=utf-8", `${text}\n`, header);
}

/** Answers GET and HEAD, and responds to other methods with 405. */
export function get(answer: Handler): Handler {
  return (request) =>
    request.method === "GET" || request.method === "HEAD"
      ? answer(request)
      : textResponse(405, "405 Method Not Allowed: use GET", { allow: "GET, HEAD" });
}
