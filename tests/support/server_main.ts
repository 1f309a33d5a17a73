/**
 * The service's transport and health RPCs without a database, as a process of its own. The argument
 * is a JSON object of server settings that differ from the defaults. Each line on standard input is
 * answered by a record of what the server holds on to, with the line as its event; at the end of
 * standard input the server stops, so that it never outlives its test.
 *
 * @module
 */
import { createInterface } from "node:readline";
import process from "node:process";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { HealthRegistry } from "../../src/health/mod.ts";
import { reportStrayErrors, stopSignal } from "../../src/process.ts";
import { addReflection, Server } from "../../src/server/mod.ts";
import { createLogger } from "../../src/log/mod.ts";
import { SERVER_DEFAULTS } from "./server.ts";
import { SteadyChecker, steadyHealthRoutes } from "./steady_health.ts";

const VERSION = "0.0.0-test";

async function serve(config: Record<string, unknown>): Promise<void> {
  const logger = createLogger({ level: "error", format: "json" }, { version: VERSION });
  reportStrayErrors(logger);
  const shutdown = new AbortController();
  await using registry = new HealthRegistry({ checkers: [new SteadyChecker()] });
  await using server = new Server({
    config: { ...SERVER_DEFAULTS, ...config },
    logger,
    readiness: () => registry.readiness,
    routes: (router) => {
      steadyHealthRoutes(registry, shutdown.signal)(router);
      addReflection(router, [Health]);
    },
  });
  const url = await server.listen();
  registry.start();
  print({ event: "service.started", url: url.href });
  await Promise.race([stopSignal(() => Deno.exit(1)), answerQuestions(server)]);
  shutdown.abort();
  await server.close();
}

async function answerQuestions(server: Server): Promise<void> {
  const collectGarbage = (globalThis as { gc?: () => void }).gc ?? (() => {});
  for await (const event of createInterface({ input: process.stdin })) {
    collectGarbage();
    const { heapUsed } = Deno.memoryUsage();
    print({ event, heapUsed, connections: server.connections });
  }
}

function print(record: Record<string, unknown>): void {
  console.log(JSON.stringify(record));
}

await serve(JSON.parse(Deno.args[0] ?? "{}"));
Deno.exit(0);
