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
 * All metrics of one process. What happens often is told by observers; what is a number already is
 * read when somebody asks.
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
   * Gives the observer of one more manager. The series of all of them have the same names; those of
   * this one have the label `database`. The series of the manager of the default name never have
   * it, so that a query, alert or dashboard that was made for one database goes on meaning that one.
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
   * @param name The manager's. Once for each, and not `postgresql`, which has
   * {@linkcode Metrics.databaseObserver}.
   * @throws {Error} The name has an observer already.
   */
  observeDatabase(name: string): DatabaseObserver {
    if (this.#registries.has(name)) throw new Error(`Database ${name} is already observed`);
    const registry = this.#registryOf(name);
    return observeDatabase(registry, new CertificateMetrics(registry));
  }

  /** Adds the state of the database and of its pools. Once, and for as long as the manager lives. */
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

  /** Adds the client connections, the calls, and the certificate that clients are shown. */
  watchServer(server: Pick<Server, "connections" | "calls" | "certificate">): void {
    this.#certificates.watchServer(server);
    snapshotGauge(this.#registry, {
      name: "treasury_server_connections",
      help: "Client connections that are open.",
    }, (report) => report(server.connections));
    snapshotGauge(this.#registry, {
      name: "treasury_server_calls",
      help: "Calls and plain requests in progress, until their answers have been sent.",
    }, (report) => report(server.calls.inProgress));
    snapshotCounter(this.#registry, {
      name: "treasury_server_refused_calls_total",
      help: "Calls that were turned away because there was no room for them.",
    }, (report) => report(server.calls.refused));
    snapshotCounter(this.#registry, {
      name: "treasury_server_stalled_calls_total",
      help: "Answers that were given up because their clients did not take them.",
    }, (report) => report(server.calls.stalled));
  }

  /**
   * Writes all metrics down.
   *
   * @param accept The Accept header of who asks; Prometheus text is the default.
   */
  expose(accept: string | null): Promise<Exposition> {
    return expose([...this.#registries.values()], accept);
  }

  /** Stops what runs in the background. What was measured can still be read. */
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
