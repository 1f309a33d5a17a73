import type { JsonReadOptions, JsonWriteOptions } from "@bufbuild/protobuf";
import type { Compression } from "@connectrpc/connect/protocol";
import type { RpcErrors } from "./rpc_errors.ts";

/** Options that all RPCs share. */
export interface CommonRpcOptions {
  readonly errors: RpcErrors;
  readonly compressions: readonly Compression[];
  readonly jsonOptions: Partial<JsonReadOptions & JsonWriteOptions>;
  /** Maximum size of a request message, in bytes, compressed or not. */
  readonly maxRequestBytes: number;
  /**
   * Maximum time for a client to send its request, in milliseconds: for the whole of a single
   * message; between the chunks of a stream.
   */
  readonly requestTimeoutMs: number;
}
