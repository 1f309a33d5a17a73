import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import type { CallLimit } from "./call_limit.ts";
import { errorAnswer } from "./error_answer.ts";
import type { Exchange } from "./exchange.ts";
import { contentTypeOf, type Handler, type Response, textResponse } from "./handler.ts";

/** Retry delay for refused requests, in seconds. */
const RETRY_DELAY_S = 1;

/** Dependencies of {@linkcode frontDoor}. */
export interface FrontDoorOptions {
  readonly handler: Handler;
  readonly calls: CallLimit;
  /** Called with errors that can no longer be reported to the client. */
  readonly onError: (error: unknown) => void;
  /** Called for each refused request. */
  readonly onRefused?: () => void;
}

/**
 * Admits requests within the limit of calls, and refuses the others immediately: UNAVAILABLE with
 * RetryInfo; in plain HTTP, 503 with Retry-After.
 *
 * Sources: RFC 9110, section 15.6.4; https://google.aip.dev/193.
 */
export function frontDoor(
  { handler, calls, onError, onRefused }: FrontDoorOptions,
): (exchange: Exchange) => void {
  /** Built once for each content type, which makes refusals cheap. */
  const refusals = new Map<string, Response>();
  const refusalFor = (exchange: Exchange) => {
    const key = `${contentTypeOf(exchange)} ${exchange.method === "GET"}`;
    let refusal = refusals.get(key);
    if (refusal === undefined) {
      refusal = refuse(exchange);
      if (refusals.size < MAX_REMEMBERED) refusals.set(key, refusal);
    }
    return refusal;
  };
  const serve = async (exchange: Exchange, answer: Handler) => {
    try {
      await exchange.send(await answer(exchange));
    } catch (error) {
      if (!exchange.hasEnded && !exchange.hasLeft) onError(error);
      exchange.cut();
    }
  };
  return (exchange) => {
    if (exchange.path === "") return void serve(exchange, () => BAD_REQUEST);
    const admission = calls.admit(exchange);
    if (admission === "admitted") return void serve(exchange, handler);
    onRefused?.();
    if (admission === "dropped") return exchange.refuse();
    const refusal = refusalFor(exchange);
    // A status without a body needs no flow control, and the header contains the gRPC status.
    const isBrief = admission === "brushed off" && refusal.body !== undefined;
    void serve(exchange, () => isBrief ? BRIEF_REFUSAL : refusal);
  };
}

const BRIEF_REFUSAL: Response = {
  status: 503,
  header: { "retry-after": String(RETRY_DELAY_S), "content-length": "0" },
};

/** Limits the cache of refusals, because clients choose the content type. */
const MAX_REMEMBERED = 64;

/** RFC 9112, section 3.2. */
const BAD_REQUEST = textResponse(
  400,
  "400 Bad Request: the request needs a valid target and one Host header",
);

function refuse(exchange: Exchange): Response {
  const retryDelay = durationFromMs(RETRY_DELAY_S * 1_000);
  const error = new ConnectError("the server is busy; try again", Code.Unavailable, undefined, [
    { desc: RetryInfoSchema, value: { retryDelay } },
  ]);
  return errorAnswer(exchange, error, 503, { "retry-after": String(RETRY_DELAY_S) });
}
