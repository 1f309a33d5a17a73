import { Registry } from "prom-client";
import {
  type DatabaseManager,
  type DatabaseObserver,
  DEFAULT_DATABASE_NAME,
} from "../../database/mod.ts";
import type { HealthObserver, HealthRegistry } from "../../health/mod.ts";
import type { RpcObserver, Server } from "../../server/mod.ts";
import { addAvailabilityMetrics } from "./availability_metrics.ts";
import { addBudgetMetrics } from "./budget_metrics.ts";
import { CertificateMetrics } from "./certificate_metrics.ts";
import { addCircuitMetrics } from "./circuit_metrics.ts";
import { observeDatabase } from "./database_observer.ts";
import { expose, type Exposition } from "./exposition.ts";
import { addHealthMetrics, observeHealthChecks } from "./health_metrics.ts";
import { addMigrationMetrics } from "./migration_metrics.ts";
import { addPoolMetrics } from "./pool_metrics.ts";
import { addProcessMetrics, type BuildInfo } from "./process_metrics.ts";
import { observeRpcs } from "./rpc_metrics.ts";
import { snapshotCounter, snapshotGauge } from "./snapshot.ts";

/**
 * All metrics of one process. Events are counted by observers; current values are read when the
 * metrics are scraped.
 *
 * ```ts
 * import { DatabaseManager } from "../../database/mod.ts";
 *
 * using metrics = new Metrics({ version: "1.2.3", runtime: "safe" });
 * await using database = new DatabaseManager("postgresql://ada@localhost/ledger", {
 *   observer: metrics.databaseObserver,
 * });
 * metrics.watchDatabase(database);
 * const { text } = await metrics.expose("text/plain");
 * text.includes("treasury_database_up 0"); // true: it has not been started
 * ```
 */
export class Metrics implements Disposable {
  /** For the manager of the default name. */
  readonly databaseObserver: DatabaseObserver;
  readonly healthObserver: HealthObserver;
  readonly rpcObserver: RpcObserver;
  readonly #registry = new Registry();
  readonly #certificates = new CertificateMetrics(this.#registry);
  readonly #registries = new Map([[DEFAULT_DATABASE_NAME, this.#registry]]);
  readonly #sampling: Disposable;

  constructor(build: BuildInfo) {
    this.databaseObserver = observeDatabase(this.#registry, this.#certificates);
    this.healthObserver = observeHealthChecks(this.#registry);
    this.rpcObserver = observeRpcs(this.#registry);
    this.#sampling = addProcessMetrics(this.#registry, build);
  }

  /**
   * Returns the observer of an additional manager. Its series have the same names, with the label
   * `database`. The series of the manager with the default name never have this label, so that
   * queries, alerts and dashboards for a single database keep their meaning.
   *
   * ```ts
   * import { DatabaseManager } from "../../database/mod.ts";
   *
   * using metrics = new Metrics({ version: "1.2.3", runtime: "safe" });
   * const observer = metrics.observeDatabase("ledger");
   * const url = "postgresql://ada@localhost/ledger";
   * await using ledger = new DatabaseManager(url, { name: "ledger", observer });
   * metrics.watchDatabase(ledger);
   * const { text } = await metrics.expose("text/plain");
   * text.includes('treasury_database_up{database="ledger"} 0'); // true
   * ```
   *
   * @param name Name of the manager, other than `postgresql`, which has
   * {@linkcode Metrics.databaseObserver}.
   * @throws {Error} If the name already has an observer.
   */
  observeDatabase(name: string): DatabaseObserver {
    if (this.#registries.has(name)) throw new Error(`Database ${name} is already observed`);
    const registry = this.#registryOf(name);
    return observeDatabase(registry, new CertificateMetrics(registry));
  }

  /**
   * Adds the state of the database and of its pools. Call once; the manager must outlive the
   * metrics.
   */
  watchDatabase(database: DatabaseManager): void {
    const registry = this.#registryOf(database.name);
    addAvailabilityMetrics(registry, database);
    addCircuitMetrics(registry, database);
    addPoolMetrics(registry, database);
    addBudgetMetrics(registry, database);
    addMigrationMetrics(registry, database);
  }

  /** Adds the last known health. */
  watchHealth(health: HealthRegistry): void {
    addHealthMetrics(this.#registry, health);
  }

  /** Adds the client connections, the calls, and the server certificate. */
  watchServer(server: Pick<Server, "connections" | "calls" | "certificate">): void {
    this.#certificates.watchServer(server);
    snapshotGauge(this.#registry, {
      name: "treasury_server_connections",
      help: "Open client connections.",
    }, (report) => report(server.connections));
    snapshotGauge(this.#registry, {
      name: "treasury_server_calls",
      help: "RPCs and plain HTTP requests in progress, until their answers have been sent.",
    }, (report) => report(server.calls.inProgress));
    snapshotCounter(this.#registry, {
      name: "treasury_server_refused_calls_total",
      help: "Calls that were refused because SERVER_MAX_CONCURRENT_CALLS was reached.",
    }, (report) => report(server.calls.refused));
    snapshotCounter(this.#registry, {
      name: "treasury_server_stalled_calls_total",
      help: "Answers that were abandoned because their clients did not read them.",
    }, (report) => report(server.calls.stalled));
  }

  /**
   * Renders all metrics.
   *
   * @param accept The Accept header of the request. Default: the Prometheus text format.
   */
  expose(accept: string | null): Promise<Exposition> {
    return expose([...this.#registries.values()], accept);
  }

  /** Stops the sampling in the background. Recorded values can still be read. */
  [Symbol.dispose](): void {
    this.#sampling[Symbol.dispose]();
  }

  #registryOf(name: string): Registry {
    let registry = this.#registries.get(name);
    if (registry === undefined) {
      registry = new Registry();
      registry.setDefaultLabels({ database: name });
      this.#registries.set(name, registry);
    }
    return registry;
  }
}
