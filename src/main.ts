import denoJson from "../deno.json" with { type: "json" };
import { Health as GrpcHealth } from "../gen/grpc/health/v1/health_pb.ts";
import { Health, ServiceStatus } from "../gen/treasury/v1/health_pb.ts";
import { type Config, ConfigError, type ConfigSource } from "./config/mod.ts";
import { DatabaseManager, type DatabaseObserver, ensureSchema } from "./database/mod.ts";
import {
  createGrpcHealthService,
  createHealthService,
  GrpcChecker,
  HealthHistory,
  HealthRegistry,
  PostgreSQLChecker,
} from "./health/mod.ts";
import { createLogger, type Logger, RecordLimit, Redactor } from "./log/mod.ts";
import { stopUseOnSignal } from "./operator_signal.ts";
import { DATABASE_CLOSE_TIMEOUT_MS, reportStrayErrors, stopSignal } from "./process.ts";
import { openConfigSource } from "./read_config.ts";
import { judgeRuntime } from "./runtime.ts";
import { addReflection, metricsPage, MetricsServer, Server, statusPage } from "./server/mod.ts";
import { describeStartFailure } from "./start_failure.ts";
import { Metrics } from "./telemetry/metrics/mod.ts";
import { combineObservers, createTracing, type Tracing } from "./telemetry/tracing/mod.ts";

const { version } = denoJson;

/** The configuration is invalid. */
const EXIT_BAD_CONFIG = 2;
const EXIT_FAILURE = 1;

/** The logger and the tracing of the process. */
interface Telemetry {
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly tracing: Tracing | undefined;
}

/** Wires the parts together and serves until the process receives a stop signal. */
async function serve(config: Config, telemetry: Telemetry): Promise<void> {
  const { logger, tracing } = telemetry;
  const startedAt = new Date();
  const shutdown = new AbortController();

  const { safety: runtime, advice } = judgeRuntime(Deno.version.deno);
  if (advice !== undefined) {
    logger.warn({ event: "runtime.unsafe", deno: Deno.version.deno, runtime }, advice);
  }
  using metrics = new Metrics({ version, runtime });
  const observers = tracing === undefined ? metrics : combineObservers(metrics, tracing);
  const expose = (accept: string | null) => metrics.expose(accept);
  // First, so that it is closed last and also covers the shutdown.
  await using metricsServer = config.metrics.address && new MetricsServer({
    address: config.metrics.address,
    limits: config.server,
    expose,
    logger,
  });

  await using parts = new AsyncDisposableStack();
  const database = parts.adopt(
    createDatabase(config, telemetry, observers.databaseObserver),
    // All requests have ended, so running operations have no caller.
    (database) => database.close({ timeoutMs: DATABASE_CLOSE_TIMEOUT_MS }),
  );
  parts.use(stopUseOnSignal(database, logger));
  const peers = config.health.grpcDependencies.map((dependency) =>
    parts.use(new GrpcChecker({ dependency, timeoutMs: config.health.grpcTimeoutMs }))
  );
  const registry = parts.adopt(
    new HealthRegistry({
      checkers: [new PostgreSQLChecker({ database }), ...peers],
      checkIntervalMs: config.health.checkIntervalMs,
      onCheckError: logCheckErrors(logger),
      observer: observers.healthObserver,
    }),
    async (registry) => {
      await registry.close();
      logger.info({ event: "health.stopped" }, "Health checks stopped");
    },
  );
  using history = new HealthHistory(registry);
  logHealthChanges(registry, logger);

  await using server = new Server({
    config: config.server,
    logger,
    readiness: () => registry.readiness,
    observer: observers.rpcObserver,
    pages: new Map([...statusPage(), ...(metricsServer ? [] : metricsPage(expose))]),
    routes: (router) => {
      const { signal: shutdownSignal } = shutdown;
      const { watchHeartbeatMs: heartbeatMs } = config.health;
      const health = { registry, history, version, startedAt, heartbeatMs, shutdownSignal };
      router.service(Health, createHealthService(health));
      router.service(GrpcHealth, createGrpcHealthService({ registry, shutdownSignal }));
      addReflection(router, [Health, GrpcHealth]);
    },
  });

  metrics.watchDatabase(database);
  metrics.watchHealth(registry);
  metrics.watchServer(server);

  const metricsUrl = await metricsServer?.listen();
  if (metricsUrl !== undefined) {
    const { href } = metricsUrl;
    logger.info({ event: "metrics.started", url: href }, `Metrics on ${href}`);
  }
  const url = await server.listen();
  database.start();
  registry.start();
  logger.info({ event: "service.started", url: url.href }, `Serving on ${url.href}`);

  const signal = await stopSignal(() => {
    logger.warn({ event: "service.forced" }, "Forced to exit before all requests finished");
    Deno.exit(EXIT_FAILURE);
  });
  logger.info({ event: "service.stopping", signal }, `Stopping on ${signal}`);
  registry.beginShutdown();
  shutdown.abort();
  await server.close();
  logger.info({ event: "service.stopped" }, "All requests have finished");
}

function createDatabase(
  { database: config }: Config,
  { logger, redactor }: Telemetry,
  observer: DatabaseObserver,
): DatabaseManager {
  return new DatabaseManager(config, {
    logger,
    observer,
    onPassword: (password) => redactor.add(password.reveal()),
    ensureSchema: (signal) => ensureSchema(config, { signal, logger }),
  });
}

function logCheckErrors(logger: Logger): (dependency: string, error: unknown) => void {
  const limit = new RecordLimit();
  return (dependency, err) => {
    const { level, repeats } = limit.weigh(dependency, "error");
    const fields = { event: "health.check_failed", dependency, ...repeats, err };
    logger[level](fields, "A health check failed with an unexpected error");
  };
}

function logHealthChanges(registry: HealthRegistry, logger: Logger): void {
  registry.subscribe(({ status, message }) => {
    const level = status === ServiceStatus.HEALTHY ? "info" : "warn";
    logger[level]({ event: "health.changed", status: ServiceStatus[status] }, message);
  });
}

function startTelemetry({ database, log }: Config): Telemetry {
  const { password, migrator } = database;
  const redactor = new Redactor(
    [password, migrator?.password].flatMap((secret) => secret?.reveal() ?? []),
  );
  const tracing = createTracing({ version, database });
  const logger = createLogger(log, { version, redactor, fields: tracing?.logFields });
  reportStrayErrors(logger);
  return { logger, redactor, tracing };
}

async function main(): Promise<number> {
  let source: ConfigSource;
  let config: Config;
  try {
    source = openConfigSource();
    config = source.load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    return EXIT_BAD_CONFIG;
  }
  const telemetry = startTelemetry(config);
  const { logger, tracing } = telemetry;
  logger.info(
    { event: "config.loaded", settings: source.settingsInUse(), tracing: tracing !== undefined },
    "Configuration loaded; settings not listed have their defaults",
  );
  for (const warning of source.warnings()) logger.warn({ event: "config.warning" }, warning);
  try {
    await serve(config, telemetry);
    return 0;
  } catch (err) {
    logger.fatal({ event: "service.failed", err }, describeStartFailure(err, config));
    return EXIT_FAILURE;
  }
}

Deno.exit(await main());
