import { Code } from "@connectrpc/connect";
import { codeFromHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import type { Handler, Request, Response } from "../handler.ts";
import { outcomeOf, type Protocol, protocolOf } from "../outcome.ts";

/** An RPC method of this server, or all that it does not know together. */
export interface RpcMethod {
  /** Such as `treasury.v1.Health/GetHealth`; `unknown` for paths at which there is none. */
  readonly method: string;
  /** Whether requests or responses can be many. */
  readonly isStream: boolean;
}

/** One call of a method. */
export interface RpcCall extends RpcMethod {
  readonly protocol: Exclude<Protocol, "http">;
}

/** Header fields of a call, by their names in lower case. */
export type ReadField = (name: string) => string | undefined;

/** Hears of every RPC, for metrics and traces. Must not throw. */
export interface RpcObserver {
  /** A call with this header begins. The result hears how it goes on. */
  readonly begin: (call: RpcCall, field: ReadField) => RunningRpc;
}

/** The observer's view of one call. */
export interface RunningRpc {
  /** Runs the handler; inside of an asynchronous context, for instance that of a span. */
  readonly run?: (<T>(handle: () => T) => T) | undefined;
  /**
   * The answer has been sent or given up. Called once.
   *
   * @param code `ok`, or the name of a Connect code such as `deadline_exceeded`.
   */
  readonly end: (code: string) => void;
}

/** Tells the observer of every RPC that comes to the handler. */
export function observed(
  inner: Handler,
  observer: RpcObserver | undefined,
  rpcMethod: RpcMethod,
): Handler {
  if (observer === undefined) return inner;
  return async (request) => {
    const protocol = protocolOf(request);
    if (protocol === "http") return await inner(request);
    const rpc = observer.begin({ ...rpcMethod, protocol }, (name) => request.field(name));
    let status = 0;
    request.onEnd(() => rpc.end(codeOf(request, status)));
    if (rpc.run !== undefined) request.run = rpc.run;
    let response: Response;
    try {
      response = await request.run(() => inner(request));
    } catch (error) {
      request.outcome = Code.Internal;
      throw error;
    }
    status = response.status;
    const { body } = response;
    if (rpc.run === undefined || body === undefined || body instanceof Uint8Array) return response;
    return { ...response, body: runEach(body, rpc.run) };
  };
}

/** What streams does so when its answer is asked for, in the context of who asks. */
function runEach<T>(
  body: AsyncIterable<T>,
  run: NonNullable<RunningRpc["run"]>,
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const chunks = body[Symbol.asyncIterator]();
      return {
        next: () => run(() => chunks.next()),
        return: (value) =>
          run(() => chunks.return?.(value)) ?? Promise.resolve({ done: true, value }),
      };
    },
  };
}

/** A refusal that came before the RPC has only its HTTP status. */
function codeOf(request: Request, status: number): string {
  const outcome = outcomeOf(request) ?? codeFromHttpStatus(status);
  return outcome === "ok" ? outcome : codeToString(outcome);
}
