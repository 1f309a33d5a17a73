import denoJson from "../deno.json" with { type: "json" };
import { Health as GrpcHealth } from "../gen/grpc/health/v1/health_pb.ts";
import { Health, ServiceStatus } from "../gen/treasury/v1/health_pb.ts";
import { type Config, ConfigError } from "./config/mod.ts";
import { DatabaseManager, prepareSchema } from "./database/mod.ts";
import {
  createGrpcHealthService,
  createHealthService,
  GrpcChecker,
  HealthHistory,
  HealthRegistry,
  PostgreSQLChecker,
} from "./health/mod.ts";
import { DATABASE_CLOSE_TIMEOUT_MS, reportStrayErrors, stopSignal } from "./process.ts";
import { readConfig, readSettingsInUse } from "./read_config.ts";
import { addReflection, metricsPage, MetricsServer, Server, statusPage } from "./server/mod.ts";
import { Metrics } from "./telemetry/metrics/mod.ts";
import { createLogger, type Logger, RecordLimit, Redactor } from "./telemetry/mod.ts";
import { combineObservers, createTracing, type Tracing } from "./telemetry/tracing/mod.ts";

/** The process could not start because of its settings. */
const EXIT_BAD_CONFIG = 2;
const EXIT_FAILURE = 1;

/** How the process tells of itself, from its first moment on. */
interface Telemetry {
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly tracing: Tracing | undefined;
}

/** Puts the parts together and serves until the process is told to stop. */
async function serve(config: Config, { logger, redactor, tracing }: Telemetry): Promise<void> {
  const startedAt = new Date();
  const { version } = denoJson;
  const shutdown = new AbortController();

  using metrics = new Metrics({ version });
  const { databaseObserver, healthObserver, rpcObserver } = tracing === undefined
    ? metrics
    : combineObservers(metrics, tracing);
  const expose = (accept: string | null) => metrics.expose(accept);
  // First, so that it is closed last and tells of the shutdown too.
  await using metricsServer = config.metrics.address && new MetricsServer({
    address: config.metrics.address,
    limits: config.server,
    expose,
    logger,
  });

  await using cleanup = new AsyncDisposableStack();
  const database = cleanup.adopt(
    new DatabaseManager(config.database, {
      logger,
      observer: databaseObserver,
      onPassword: (password) => redactor.add(password.reveal()),
      prepare: (signal) => prepareSchema(config.database, { signal, logger }),
    }),
    // By now every request has ended, so whatever still runs has lost its caller.
    (database) => database.close({ timeoutMs: DATABASE_CLOSE_TIMEOUT_MS }),
  );
  metrics.watchDatabase(database);

  await using dependencies = new AsyncDisposableStack();
  const peers = config.health.grpcDependencies.map((dependency) =>
    dependencies.use(new GrpcChecker({ dependency, timeoutMs: config.health.grpcTimeoutMs }))
  );
  const checkErrors = new RecordLimit();
  await using registry = new HealthRegistry({
    checkers: [new PostgreSQLChecker({ database }), ...peers],
    checkIntervalMs: config.health.checkIntervalMs,
    onCheckError: (dependency, err) => {
      const { level, repeats } = checkErrors.weigh(dependency, "error");
      const fields = { event: "health.check_failed", dependency, ...repeats, err };
      logger[level](fields, "A health check broke");
    },
    observer: healthObserver,
  });
  metrics.watchHealth(registry);
  using history = new HealthHistory(registry);
  registry.subscribe(({ status, message }) => {
    const level = status === ServiceStatus.HEALTHY ? "info" : "warn";
    logger[level]({ event: "health.changed", status: ServiceStatus[status] }, message);
  });

  await using server = new Server({
    config: config.server,
    logger,
    readiness: () => registry.readiness,
    observer: rpcObserver,
    pages: new Map([...statusPage(), ...(metricsServer ? [] : metricsPage(expose))]),
    routes: (router) => {
      router.service(
        Health,
        createHealthService({
          registry,
          history,
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

  metrics.watchServer(server);

  const metricsUrl = await metricsServer?.listen();
  if (metricsUrl !== undefined) {
    logger.info(
      { event: "metrics.started", url: metricsUrl.href },
      `Metrics on ${metricsUrl.href}`,
    );
  }
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

async function main(): Promise<number> {
  let config: Config;
  try {
    config = readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    return EXIT_BAD_CONFIG;
  }
  const { version } = denoJson;
  const { password, migrator } = config.database;
  const redactor = new Redactor(
    [password, migrator?.password].flatMap((secret) => secret?.reveal() ?? []),
  );
  const tracing = createTracing({ version, database: config.database });
  const logger = createLogger(config.log, {
    version,
    redactor,
    fields: tracing?.logFields,
  });
  reportStrayErrors(logger);
  logger.info(
    { event: "config.loaded", settings: readSettingsInUse(), tracing: tracing !== undefined },
    "Read the configuration; what is not listed has its default",
  );
  try {
    await serve(config, { logger, redactor, tracing });
    return 0;
  } catch (err) {
    logger.fatal({ event: "service.failed", err }, describeStartFailure(err, config));
    return EXIT_FAILURE;
  }
}

function describeStartFailure(error: unknown, { server, metrics }: Config): string {
  const { code, port } = error as { readonly code?: unknown; readonly port?: unknown };
  if (typeof code === "string" && metrics.address?.port === port && server.port !== port) {
    return `Metrics cannot be served on this address (${code}): set METRICS_ADDR to another one`;
  }
  const address = `${server.host}:${server.port}`;
  if (code === "EADDRINUSE") return `${address} is in use: set SERVER_PORT to a free port`;
  if (code === "EACCES") return `${address} is not allowed: set SERVER_PORT to a port above 1023`;
  if (code === "EADDRNOTAVAIL") return `${address} is no address of this machine: set SERVER_HOST`;
  return "The service failed";
}

Deno.exit(await main());
