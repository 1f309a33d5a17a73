import type { Code } from "@connectrpc/connect";

/** Header or trailer fields that a response sends; names are in lower case. */
export type Fields = Readonly<Record<string, string | readonly string[]>>;

/** What a client sends after the header. Read once, in one of the two ways. */
export interface RequestBody extends AsyncIterable<Uint8Array> {
  /**
   * All of it at once.
   *
   * @throws {ConnectError} RESOURCE_EXHAUSTED above `maxBytes`, DEADLINE_EXCEEDED when it takes
   * longer than `timeoutMs`, CANCELED when the client leaves before its end.
   */
  bytes(limits: BodyLimits): Promise<Uint8Array>;
}

/** Limits of {@linkcode RequestBody.bytes}. */
export interface BodyLimits {
  readonly maxBytes: number;
  readonly timeoutMs: number;
  /** Sees what has come so far until it says true; what it throws ends the reading. */
  readonly inspect?: ((start: Uint8Array) => boolean) | undefined;
}

/** One request, whatever HTTP version carried it. What costs is made when it is asked for. */
export interface Request {
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string;
  readonly method: string;
  /** In normal form, without the query. */
  readonly path: string;
  readonly url: string;
  /** As it was sent: a path with its query, or a whole URL. */
  readonly target: string;
  /** Address of the client as `host:port`; empty when it has already left. */
  readonly peer: string;
  /** Whether the client was let in by a certificate of its own. */
  readonly hasClientCertificate: boolean;
  readonly header: Headers;
  readonly body: RequestBody;
  /** Aborts when the client leaves before the end of the answer, and by {@linkcode abort}. */
  readonly signal: AbortSignal;
  /** Whether the client has left before the end of the answer. */
  readonly hasLeft: boolean;
  /** How the RPC ended; undefined until then, and for requests that reached none. */
  outcome: Code | "ok" | undefined;
  /** Runs something in the asynchronous context of the request's RPC. */
  run: <T>(action: () => T) => T;
  /** A header field by its name in lower case. */
  field(name: string): string | undefined;
  /** Aborts {@linkcode signal}. */
  abort(reason: unknown): void;
  /** Calls the listener when the answer has been sent or given up. */
  onEnd(listener: () => void): void;
}

/** An answer. A body that comes in chunks is consumed once. */
export interface Response {
  readonly status: number;
  readonly header?: Fields;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Asked for at the end of the body. */
  readonly trailer?: (() => Fields) | undefined;
}

/** Answers one request. Handlers are composed by wrapping. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** The media type of a request in lower case, without parameters. */
export function contentTypeOf(request: Pick<Request, "field">): string {
  const text = request.field("content-type") ?? "";
  const end = text.indexOf(";");
  return (end === -1 ? text : text.slice(0, end)).trim().toLowerCase();
}

/** A complete answer in bytes or text. */
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

/** A short plain-text answer. */
export function textResponse(status: number, text: string, header?: Fields): Response {
  return response(status, "text/plain; charset=utf-8", `${text}\n`, header);
}

/** Answers GET and HEAD, and refuses other methods. */
export function get(answer: Handler): Handler {
  return (request) =>
    request.method === "GET" || request.method === "HEAD"
      ? answer(request)
      : textResponse(405, "405 Method Not Allowed: use GET", { allow: "GET, HEAD" });
}
