import type { X509Certificate } from "node:crypto";
import type { Registry } from "prom-client";
import type { PoolName } from "../../database/mod.ts";
import { type Report, snapshotGauge } from "./snapshot.ts";

/** Whose certificate it is; see docs/observability.md. */
type CertificateName = "server" | "database" | "database_read";

const OF_POOL: Readonly<Record<PoolName, CertificateName>> = {
  primary: "database",
  read: "database_read",
};

/**
 * When certificates expire, as a time and not as what is left of it, as other exporters do it
 * (`probe_ssl_earliest_cert_expiry`): it is right also when nobody has looked for long. What is not
 * known is not shown.
 */
export class CertificateMetrics {
  readonly #expiry = new Map<CertificateName, Date>();
  #readServer: () => X509Certificate | undefined = () => undefined;

  constructor(registry: Registry) {
    snapshotGauge(registry, {
      name: "treasury_tls_certificate_expiry_seconds",
      help: "When a TLS certificate expires, in seconds since 1970 (not the time that is left): " +
        "of this service (server), of the database as it was last seen (database, database_read).",
      labels: ["certificate"],
    }, (report) => this.#collect(report));
  }

  /** Adds what clients of this service are shown. */
  watchServer(server: { readonly certificate: X509Certificate | undefined }): void {
    this.#readServer = () => server.certificate;
  }

  /** The server at the end of a pool has shown its certificate. */
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
