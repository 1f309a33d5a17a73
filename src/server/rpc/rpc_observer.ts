import { Code } from "@connectrpc/connect";
import { codeFromHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";
import type { Handler, Request, Response } from "../handler.ts";
import { outcomeOf, type Protocol, protocolOf } from "../outcome.ts";

/** An RPC method of this server; all unknown methods count as one. */
export interface RpcMethod {
  /** Such as `treasury.v1.Health/GetHealth`; `unknown` for unknown paths. */
  readonly method: string;
  /** Whether requests or responses are streamed. */
  readonly isStream: boolean;
}

/** One call of a method. */
export interface RpcCall extends RpcMethod {
  readonly protocol: Exclude<Protocol, "http">;
}

/** Reads a header field of a call by its name in lower case. */
export type ReadField = (name: string) => string | undefined;

/** Is notified of every RPC, for metrics and traces. Must not throw. */
export interface RpcObserver {
  /** Called at the start of a call, with its header. The result observes the rest of the call. */
  readonly begin: (call: RpcCall, field: ReadField) => RunningRpc;
}

/** Observes one call. */
export interface RunningRpc {
  /** Runs the handler, within an asynchronous context such as that of a span. */
  readonly run?: (<T>(handle: () => T) => T) | undefined;
  /**
   * Called once, when the answer has been sent or abandoned.
   *
   * @param code `ok`, or the name of a Connect code such as `deadline_exceeded`.
   */
  readonly end: (code: string) => void;
}

/** Notifies the observer of every RPC of the handler. */
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

/**
 * A stream runs when it is read, in the context of its reader, so each read is run in the RPC's.
 */
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

/** A refusal before the RPC started has only an HTTP status. */
function codeOf(request: Request, status: number): string {
  const outcome = outcomeOf(request) ?? codeFromHttpStatus(status);
  return outcome === "ok" ? outcome : codeToString(outcome);
}
