import type { JsonReadOptions, JsonWriteOptions } from "@bufbuild/protobuf";
import type { Compression } from "@connectrpc/connect/protocol";
import type { RpcErrors } from "./rpc_errors.ts";

/** What all RPCs have in common. */
export interface CommonRpcOptions {
  readonly errors: RpcErrors;
  readonly compressions: readonly Compression[];
  readonly jsonOptions: Partial<JsonReadOptions & JsonWriteOptions>;
  /** Largest request message, in bytes, compressed or not. */
  readonly maxRequestBytes: number;
  /**
   * Time for a client to send its request, in milliseconds: all of it where it is one message, and
   * for each silence where it is a stream.
   */
  readonly requestTimeoutMs: number;
}
