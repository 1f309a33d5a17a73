import assert from "node:assert/strict";
import type { ConnectRouter } from "@connectrpc/connect";
import { Health, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import type { ServerConfig } from "../../src/config/mod.ts";
import { addReflection, Server, statusPage } from "../../src/server/mod.ts";
import { createLogger, type Logger } from "../../src/log/mod.ts";
import { eventually } from "./condition.ts";
import { GET_HEALTH, RawSocket } from "./raw_socket.ts";

/** The defaults of docs/configuration.md on a free port of the loopback interface. */
export const SERVER_DEFAULTS: ServerConfig = {
  host: "127.0.0.1",
  port: 0,
  tls: undefined,
  corsAllowedOrigins: [],
  maxRequestBytes: 65_536,
  maxHeaderBytes: 16_384,
  maxConcurrentStreams: 100,
  maxConcurrentCalls: 1_000,
  maxConnections: 10_000,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
  shutdownTimeoutMs: 25_000,
};

/** For tests of what must not need a timeout: longer than any test waits. */
export const WITHOUT_TIMEOUTS = {
  headerTimeoutMs: 600_000,
  requestTimeoutMs: 600_000,
  idleTimeoutMs: 600_000,
  shutdownTimeoutMs: 600_000,
} as const satisfies Partial<ServerConfig>;

/** A server for tests of the transport, and what it logged. */
export interface TestServer extends AsyncDisposable {
  readonly url: URL;
  readonly port: number;
  readonly server: Server;
  /** Log records, oldest first. */
  readonly logs: Record<string, unknown>[];
}

/** Starts a server whose RPCs answer without a database; `routes` replaces them. */
export async function startServer(
  overrides: Partial<ServerConfig> = {},
  routes: (router: ConnectRouter) => void = healthyRoutes,
): Promise<TestServer> {
  const { logger, logs } = captureLogger();
  await using startup = new AsyncDisposableStack();
  const server = startup.use(
    new Server({
      config: { ...SERVER_DEFAULTS, ...overrides },
      pages: statusPage(),
      logger,
      routes,
      tlsReloadIntervalMs: 20,
      readiness: () => ({ ready: true, reason: "" }),
    }),
  );
  const url = await server.listen();
  startup.move();
  const port = Number(url.port);
  return { url, port, server, logs, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Asserts that the server answers a new client, and holds no connection after that. */
export async function assertUnharmed({ server, port }: TestServer): Promise<void> {
  {
    await using socket = await RawSocket.connect(port);
    socket.write(GET_HEALTH);
    assert.match((await socket.readResponse()).body, /"status":"HEALTHY"/);
  }
  await eventually(() => server.connections === 0, { what: "no connection is held" });
}

/** A logger that keeps its records. */
export function captureLogger(): { logger: Logger; logs: Record<string, unknown>[] } {
  const logs: Record<string, unknown>[] = [];
  const logger = createLogger({ level: "debug", format: "json" }, {
    version: "0.0.0-test",
    destination: { write: (line) => void logs.push(JSON.parse(line)) },
  });
  return { logger, logs };
}

function healthyRoutes(router: ConnectRouter): void {
  const health = { status: ServiceStatus.HEALTHY, message: "Service is fully operational" };
  router.service(Health, {
    getHealth: () => health,
    async *watchHealth(_request, context) {
      yield { health };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      throw context.signal.reason;
    },
  });
  addReflection(router, [Health]);
}
