import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { Health, ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";

/**
 * Makes sure that the server answers normal clients: gRPC, and Connect over HTTP/1.1.
 *
 * @throws {Error} When it does not.
 */
export async function assertAnswers(baseUrl: string): Promise<void> {
  const sessionManager = new Http2SessionManager(baseUrl);
  try {
    const grpc = createClient(Health, createGrpcTransport({ baseUrl, sessionManager }));
    assert.equal((await grpc.getHealth({})).status, ServiceStatus.HEALTHY);
  } finally {
    sessionManager.abort();
  }
  const connect = createClient(
    Health,
    createConnectTransport({
      baseUrl,
      httpVersion: "1.1",
      useBinaryFormat: false,
      // A kept connection could be used at the moment when the server finds it idle and closes it.
      nodeOptions: { agent: false },
    }),
  );
  assert.equal((await connect.getHealth({})).status, ServiceStatus.HEALTHY);
}
