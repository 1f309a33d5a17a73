/**
 * One of the servers that `bench/transport.ts` compares, for Deno and, bundled, for Node.js. All
 * have the same health RPCs with a constant result, and log each request to standard output. The
 * argument selects the server: `own` is the transport of this service, `connect-node` is Connect's
 * adapter on node:http and node:http2. The addresses are printed on standard error, as JSON.
 *
 * @module
 */
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { compressionBrotli, compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import type { Interceptor } from "@connectrpc/connect";
import { HealthRegistry } from "../src/health/mod.ts";
import { Server } from "../src/server/mod.ts";
import { createLogger, type Logger } from "../src/log/mod.ts";
import { SERVER_DEFAULTS } from "../tests/support/server.ts";
import { SteadyChecker, steadyHealthRoutes } from "../tests/support/steady_health.ts";
import type { Addresses } from "./servers.ts";

const VERSION = "0.0.0-bench";
const registry = new HealthRegistry({ checkers: [new SteadyChecker()] });
const routes = steadyHealthRoutes(registry, new AbortController().signal);
const logger = createLogger({ level: "info", format: "json" }, { version: VERSION });

async function startOwn(): Promise<Addresses> {
  const server = new Server({
    config: SERVER_DEFAULTS,
    logger,
    readiness: () => registry.readiness,
    routes,
  });
  const { href } = await server.listen();
  return { http1: href, http2: href };
}

async function startConnectNode(): Promise<Addresses> {
  const handler = connectNodeAdapter({
    routes,
    acceptCompression: [compressionGzip, compressionBrotli],
    interceptors: [requestLog(logger)],
    jsonOptions: { alwaysEmitImplicit: true, useProtoFieldName: true },
    readMaxBytes: SERVER_DEFAULTS.maxRequestBytes,
  });
  return {
    http1: await listen(http.createServer(handler)),
    http2: await listen(http2.createServer(handler)),
  };
}

/** The same record as this service's request log. */
function requestLog(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const startedAt = performance.now();
    const response = await next(request);
    logger.info({
      event: "request",
      method: new URL(request.url).pathname,
      protocol: request.header.get("content-type"),
      http: "",
      status: 200,
      code: "ok",
      duration_ms: Math.round((performance.now() - startedAt) * 1000) / 1000,
      peer: "127.0.0.1:0",
    }, "request");
    return response;
  };
}

function listen(server: http.Server | http2.Http2Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    });
  });
}

const start = { "own": startOwn, "connect-node": startConnectNode }[process.argv[2] ?? ""];
if (start === undefined) throw new Error("Usage: transport_server own|connect-node");
console.error(JSON.stringify(await start()));
