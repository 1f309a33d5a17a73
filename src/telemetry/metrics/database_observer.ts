import { Counter, type Registry } from "prom-client";
import {
  DatabaseError,
  type DatabaseObserver,
  type OperationName,
  type PoolName,
  type PoolObserver,
} from "../../database/mod.ts";
import type { CertificateMetrics } from "./certificate_metrics.ts";
import { DurationHistogram } from "./duration_histogram.ts";
import { sqlStateClass } from "./sql_state_class.ts";

/** Result of an operation; `work_failed`: the callback of the caller threw an error. */
type Outcome = "success" | "error" | "aborted" | "work_failed";

const OPERATIONS: readonly OperationName[] = ["query", "connection", "transaction", "ping"];
const OUTCOMES: readonly Outcome[] = ["success", "error", "aborted", "work_failed"];

/**
 * The most common errors when opening a connection. Their counters start at 0, so that the first
 * error is an increase.
 */
const CONNECT_ERRORS = [
  { code: "AUTHENTICATION_FAILED", sqlstate_class: "28" },
  { code: "CONNECTION_LOST", sqlstate_class: "none" },
  { code: "CONNECTION_REFUSED", sqlstate_class: "none" },
  { code: "CONNECT_TIMEOUT", sqlstate_class: "none" },
  { code: "HOST_NOT_FOUND", sqlstate_class: "none" },
  { code: "HOST_UNREACHABLE", sqlstate_class: "none" },
  { code: "SERVER_STARTING", sqlstate_class: "57" },
  { code: "TOO_MANY_CONNECTIONS", sqlstate_class: "53" },
] as const;

/**
 * Measures the duration of operations, acquires, uses and opens of connections, and counts errors.
 *
 * Source of the names: OpenTelemetry semantic conventions, "Database client metrics".
 */
export function observeDatabase(
  registry: Registry,
  certificates: Pick<CertificateMetrics, "seen">,
): DatabaseObserver {
  const countError = errorCounter(registry);
  return {
    operation: observeOperations(registry, countError),
    pool: observePools(registry, countError, certificates),
  };
}

type CountError = (operation: OperationName | "connect", error: unknown) => void;

function errorCounter(registry: Registry): CountError {
  const errors = new Counter({
    name: "db_client_errors_total",
    help: "Failed operations, and failed opens of connections (connect), by error code and " +
      "SQLSTATE class.",
    labelNames: ["operation", "code", "sqlstate_class"],
    registers: [registry],
  });
  for (const labels of CONNECT_ERRORS) errors.inc({ operation: "connect", ...labels }, 0);
  return (operation, error) => {
    if (!(error instanceof DatabaseError)) return;
    const { code, sqlState } = error;
    errors.inc({ operation, code, sqlstate_class: sqlStateClass(sqlState) });
  };
}

function observeOperations(
  registry: Registry,
  countError: CountError,
): DatabaseObserver["operation"] {
  const histogram = new DurationHistogram({
    name: "db_client_operation_duration_seconds",
    help: "Duration of database operations, including the wait for a connection.",
    labels: ["operation", "outcome"],
    registry,
  });
  const durations = table(
    OPERATIONS,
    (operation) => table(OUTCOMES, (outcome) => histogram.child(operation, outcome)),
  );

  return async (operation, run) => {
    const startedAt = performance.now();
    try {
      const result = await run();
      durations[operation].success.observe(performance.now() - startedAt);
      return result;
    } catch (error) {
      const outcome = outcomeOf(error);
      durations[operation][outcome].observe(performance.now() - startedAt);
      if (outcome === "error") countError(operation, error);
      throw error;
    }
  };
}

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof DatabaseError)) return "work_failed";
  return error.code === "ABORTED" ? "aborted" : "error";
}

function observePools(
  registry: Registry,
  countError: CountError,
  certificates: Pick<CertificateMetrics, "seen">,
): (pool: PoolName) => PoolObserver {
  const histogram = (name: string, help: string) =>
    new DurationHistogram({
      name: `db_client_connection_${name}`,
      help,
      labels: ["pool"],
      registry,
    });
  const create = histogram("create_time_seconds", "Time to open a connection.");
  const wait = histogram("wait_time_seconds", "Time to acquire a connection.");
  const use = histogram("use_time_seconds", "Time between acquiring and releasing a connection.");

  return (pool) => {
    const [created, waited, used] = [create.child(pool), wait.child(pool), use.child(pool)];
    return {
      acquired: (waitedMs) => waited.observe(waitedMs),
      // Counted as the error of the operation, or of opening the connection.
      acquireFailed: () => {},
      released: (usedMs) => used.observe(usedMs),
      opened: (tookMs) => created.observe(tookMs),
      openFailed: (_tookMs, error) => countError("connect", error),
      certificateSeen: (expiresAt) => certificates.seen(pool, expiresAt),
    };
  };
}

/** A record with a value for each key. */
function table<K extends string, V>(keys: readonly K[], value: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>;
}
