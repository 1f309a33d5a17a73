import type { Row } from "../panel.ts";
import { HERE, quantile } from "../query.ts";

const OK = { text: "yes", color: "green" };
const BAD = { text: "no", color: "red" };

/** Health of the service and its dependencies. */
export const HEALTH: Row = {
  title: "Health",
  panels: [
    {
      title: "Database reachable",
      description:
        "Whether the primary is connected. Down for a minute: TreasuryDatabaseUnreachable.",
      kind: "stat",
      unit: "short",
      queries: [{ expr: `treasury_database_up{${HERE}}`, legend: "{{instance}}" }],
      words: { 0: BAD, 1: OK },
    },
    {
      title: "Ready for traffic",
      description: "Result of /readyz.",
      kind: "stat",
      unit: "short",
      queries: [{ expr: `treasury_health_ready{${HERE}}`, legend: "{{instance}}" }],
      words: { 0: BAD, 1: OK },
    },
    {
      title: "Dependencies",
      description: "The status of each dependency over time.",
      kind: "state-timeline",
      unit: "short",
      queries: [
        {
          expr: `treasury_health_dependency_status{${HERE},status="healthy"}` +
            ` + ignoring(status) (2 * treasury_health_dependency_status{${HERE},status="degraded"})`,
          legend: "{{instance}} {{dependency}}",
        },
      ],
      words: {
        0: { text: "unhealthy", color: "red" },
        1: { text: "healthy", color: "green" },
        2: { text: "degraded", color: "orange" },
      },
    },
    {
      title: "Duration of health checks (P99)",
      description: "The specification requires 100 ms.",
      kind: "timeseries",
      unit: "s",
      queries: [{
        expr: quantile(0.99, "treasury_health_check_duration_seconds", "dependency"),
        legend: "{{dependency}}",
      }],
      failAt: 0.1,
    },
    {
      title: "Certificates expire in",
      description: "Empty without TLS. Below 14 days: TreasuryCertificateExpiresSoon.",
      kind: "timeseries",
      unit: "s",
      queries: [{
        expr: `treasury_tls_certificate_expiry_seconds{${HERE}} - time()`,
        legend: "{{instance}} {{certificate}}",
      }],
    },
  ],
};
