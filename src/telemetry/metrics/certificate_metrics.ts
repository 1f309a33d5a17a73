import type { X509Certificate } from "node:crypto";
import type { Registry } from "prom-client";
import type { PoolName } from "../../database/mod.ts";
import { type Report, snapshotGauge } from "./snapshot.ts";

/** Owner of the certificate; see docs/observability.md. */
type CertificateName = "server" | "database" | "database_read";

const OF_POOL: Readonly<Record<PoolName, CertificateName>> = {
  primary: "database",
  read: "database_read",
};

/**
 * Expiry times of certificates. A time rather than the remaining time, as in other exporters
 * (`probe_ssl_earliest_cert_expiry`), because it stays correct between two scrapes. Unknown
 * certificates have no value.
 */
export class CertificateMetrics {
  readonly #expiry = new Map<CertificateName, Date>();
  #readServer: () => X509Certificate | undefined = () => undefined;

  constructor(registry: Registry) {
    snapshotGauge(registry, {
      name: "treasury_tls_certificate_expiry_seconds",
      help:
        "Expiry time of a TLS certificate, in seconds since 1970: of this service (server), of " +
        "the database server when a connection was last opened (database, database_read).",
      labels: ["certificate"],
    }, (report) => this.#collect(report));
  }

  /** Adds the certificate of this service. */
  watchServer(server: { readonly certificate: X509Certificate | undefined }): void {
    this.#readServer = () => server.certificate;
  }

  /** Records the certificate of a database server. */
  seen(pool: PoolName, expiresAt: Date): void {
    this.#expiry.set(OF_POOL[pool], expiresAt);
  }

  #collect(report: Report<"certificate">): void {
    const server = this.#readServer()?.validToDate;
    if (server !== undefined) report(server.getTime() / 1000, { certificate: "server" });
    for (const [certificate, expiresAt] of this.#expiry) {
      report(expiresAt.getTime() / 1000, { certificate });
    }
  }
}
