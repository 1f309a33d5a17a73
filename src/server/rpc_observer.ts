import { type ContextKey, createContextKey } from "@connectrpc/connect";
import { codeFromHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import { afterwards, type Handler, type Request, type Response } from "./handler.ts";
import { outcomeOf, type Protocol, protocolOf } from "./outcome.ts";

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

/** Hears of every RPC, for metrics and traces. Must not throw. */
export interface RpcObserver {
  /** A call with this header begins. The result hears how it goes on. */
  readonly begin: (call: RpcCall, header: Headers) => RunningRpc;
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

/** Runs something in the asynchronous context of a request's RPC; without one, just runs it. */
export const inRpcKey: ContextKey<NonNullable<RunningRpc["run"]>> = createContextKey<
  NonNullable<RunningRpc["run"]>
>((run) => run(), { description: "in the context of the RPC" });

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
    const rpc = observer.begin({ ...rpcMethod, protocol }, request.header);
    if (rpc.run !== undefined) request.contextValues.set(inRpcKey, rpc.run);
    const run = request.contextValues.get(inRpcKey);
    let response: Response;
    try {
      response = await run(() => inner(request));
    } catch (error) {
      rpc.end("internal");
      throw error;
    }
    if (response.body !== undefined && rpc.run !== undefined) {
      response = { ...response, body: runEach(response.body, rpc.run) };
    }
    return afterwards(request, response, () => rpc.end(codeOf(request, response)));
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
function codeOf(request: Request, response: Response): string {
  const outcome = outcomeOf(request, response) ?? codeFromHttpStatus(response.status);
  return outcome === "ok" ? outcome : codeToString(outcome);
}
