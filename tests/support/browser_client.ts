// Runs in the browser: calls the service as a web application does.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  Health,
  ServiceStatus,
  WatchHealthResponse_Reason,
} from "../../gen/treasury/v1/health_pb.ts";

/** What the page found out, for the test to read. */
export interface BrowserFindings {
  connect: string;
  connectGet: string;
  grpcWeb: string;
  /** Reasons of the first messages of a WatchHealth stream. */
  watched: string[];
  failedWith: string;
}

async function findOut(baseUrl: string): Promise<BrowserFindings> {
  const connect = createClient(Health, createConnectTransport({ baseUrl }));
  const connectGet = createClient(Health, createConnectTransport({ baseUrl, useHttpGet: true }));
  const grpcWeb = createClient(Health, createGrpcWebTransport({ baseUrl }));
  const status = async (client: typeof connect) =>
    ServiceStatus[(await client.getHealth({})).status] ?? "";

  const watched: string[] = [];
  const leave = new AbortController();
  for await (const { reason } of connect.watchHealth({}, { signal: leave.signal })) {
    watched.push(WatchHealthResponse_Reason[reason] ?? "");
    if (watched.length === 2) break;
  }
  leave.abort();
  const failedWith = await connect.getHealth({ dependency: "nobody" })
    .then(() => "nothing", (error) => String(error));
  return {
    connect: await status(connect),
    connectGet: await status(connectGet),
    grpcWeb: await status(grpcWeb),
    watched,
    failedWith,
  };
}

Object.assign(globalThis, { findOut });
