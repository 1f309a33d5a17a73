import denoJson from "../deno.json" with { type: "json" };
import { Health as GrpcHealth } from "../gen/grpc/health/v1/health_pb.ts";
import { Health, ServiceStatus } from "../gen/treasury/v1/health_pb.ts";
import {
  type Config,
  ConfigError,
  databaseNaming,
  environmentNames,
  isDatabaseConfigured,
  loadConfig,
} from "./config/mod.ts";
import { DatabaseManager, migrateUp } from "./database/mod.ts";
import {
  createGrpcHealthService,
  createHealthService,
  GrpcChecker,
  HealthRegistry,
  PostgreSQLChecker,
} from "./health/mod.ts";
import { reportStrayErrors, stopSignal } from "./process.ts";
import { addReflection, Server } from "./server/mod.ts";
import { createLogger, type Logger } from "./telemetry/mod.ts";

/** The process could not start because of its settings. */
const EXIT_BAD_CONFIG = 2;
const EXIT_FAILURE = 1;

/** Together with SHUTDOWN_TIMEOUT it stays inside of the specification's 30 seconds. */
const DATABASE_CLOSE_TIMEOUT_MS = 2_000;

/** Puts the parts together and serves until the process is told to stop. */
async function serve(config: Config, logger: Logger): Promise<void> {
  const startedAt = new Date();
  const { version } = denoJson;
  const shutdown = new AbortController();

  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.adopt(
    new DatabaseManager(config.database, {
      logger,
      prepare: config.database.migrateOnStart
        ? async (signal) => void await migrateUp(config.database, { signal, logger })
        : undefined,
    }),
    // By now every request has ended, so whatever still runs has lost its caller.
    (database) => database.close({ timeoutMs: DATABASE_CLOSE_TIMEOUT_MS }),
  );

  await using dependencies = new AsyncDisposableStack();
  const peers = config.health.grpcDependencies.map((dependency) =>
    dependencies.use(new GrpcChecker({ dependency, timeoutMs: config.health.grpcTimeoutMs }))
  );
  await using registry = new HealthRegistry({
    checkers: [new PostgreSQLChecker({ database }), ...peers],
    checkIntervalMs: config.health.checkIntervalMs,
    onCheckError: (dependency, err) =>
      logger.error({ event: "health.check_failed", dependency, err }, "A health check broke"),
  });
  registry.subscribe(({ status, message }) => {
    const level = status === ServiceStatus.HEALTHY ? "info" : "warn";
    logger[level]({ event: "health.changed", status: ServiceStatus[status] }, message);
  });

  await using server = new Server({
    config: config.server,
    version,
    logger,
    readiness: () => registry.readiness,
    routes: (router) => {
      router.service(
        Health,
        createHealthService({
          registry,
          version,
          startedAt,
          heartbeatMs: config.health.watchHeartbeatMs,
          shutdownSignal: shutdown.signal,
        }),
      );
      router.service(
        GrpcHealth,
        createGrpcHealthService({ registry, shutdownSignal: shutdown.signal }),
      );
      addReflection(router, [Health, GrpcHealth]);
    },
  });

  const url = await server.listen();
  database.start();
  registry.start();
  logger.info({ event: "service.started", url: url.href }, `Serving on ${url.href}`);

  const signal = await stopSignal(() => {
    logger.warn({ event: "service.forced" }, "Stopped by force, not everything had finished");
    Deno.exit(EXIT_FAILURE);
  });
  logger.info({ event: "service.stopping", signal }, `Stopping on ${signal}`);
  registry.beginShutdown();
  shutdown.abort();
  await server.close();
  logger.info({ event: "service.stopped" }, "No request is running any more");
}

function readConfig(): Config {
  const env = Object.fromEntries(environmentNames.map((name) => [name, Deno.env.get(name)]));
  const places = { env, envFile: ".env" };
  if (!isDatabaseConfigured(places)) {
    const [, ...others] = databaseNaming;
    throw new ConfigError([{
      setting: "DATABASE_URL",
      problem: `is not set, nor is any of ${others.join(", ")}`,
      allowed: "postgresql://user:password@host:port/database; `deno task dev` needs no database",
    }]);
  }
  return loadConfig(places);
}

async function main(): Promise<number> {
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    return EXIT_BAD_CONFIG;
  }
  const { password } = config.database;
  const logger = createLogger(config.log, {
    version: denoJson.version,
    secrets: password ? [password.reveal()] : [],
  });
  reportStrayErrors(logger);
  try {
    await serve(config, logger);
    return 0;
  } catch (err) {
    logger.fatal({ event: "service.failed", err }, describeStartFailure(err, config));
    return EXIT_FAILURE;
  }
}

function describeStartFailure(error: unknown, { server }: Config): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const address = `${server.host}:${server.port}`;
  if (code === "EADDRINUSE") return `${address} is in use: set SERVER_PORT to a free port`;
  if (code === "EACCES") return `${address} is not allowed: set SERVER_PORT to a port above 1023`;
  if (code === "EADDRNOTAVAIL") return `${address} is no address of this machine: set SERVER_HOST`;
  return "The service failed";
}

Deno.exit(await main());
