/**
 * The service's transport and health RPCs without a database, as a process of its own. The argument
 * is a JSON object of server settings that differ from the defaults; `tls` after it has the server
 * speak TLS. Each line on standard input is answered by a record of what the server holds on to, with
 * the line as its event; at the end of standard input the server stops, so that it never outlives its
 * test.
 *
 * @module
 */
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { Secret, type ServerConfig } from "../../src/config/mod.ts";
import { HealthRegistry } from "../../src/health/mod.ts";
import { reportStrayErrors, stopSignal } from "../../src/process.ts";
import { addReflection, Server } from "../../src/server/mod.ts";
import { createLogger } from "../../src/log/mod.ts";
import { SERVER_DEFAULTS } from "./server.ts";
import { answerUsage } from "./server_usage.ts";
import { SteadyChecker, steadyHealthRoutes } from "./steady_health.ts";

const VERSION = "0.0.0-test";

async function serve(config: Record<string, unknown>, isTls: boolean): Promise<void> {
  const logger = createLogger({ level: "error", format: "json" }, { version: VERSION });
  reportStrayErrors(logger);
  const shutdown = new AbortController();
  await using registry = new HealthRegistry({ checkers: [new SteadyChecker()] });
  await using server = new Server({
    config: { ...SERVER_DEFAULTS, ...config, tls: isTls ? await fixtureTls() : undefined },
    logger,
    readiness: () => registry.readiness,
    routes: (router) => {
      steadyHealthRoutes(registry, shutdown.signal)(router);
      addReflection(router, [Health]);
    },
  });
  const url = await server.listen();
  registry.start();
  console.log(JSON.stringify({ event: "service.started", url: url.href }));
  const answers = answerUsage(() => ({ connections: server.connections }));
  await Promise.race([stopSignal(() => Deno.exit(1)), answers]);
  shutdown.abort();
  await server.close();
}

async function fixtureTls(): Promise<ServerConfig["tls"]> {
  const read = (name: string) => Deno.readTextFile(new URL(`./tls/${name}`, import.meta.url));
  const [cert, key] = await Promise.all([read("server.pem"), read("server-key.pem")]);
  return { cert, key: new Secret(key) };
}

const [config = "{}", tls] = Deno.args;
await serve(JSON.parse(config), tls === "tls");
Deno.exit(0);
