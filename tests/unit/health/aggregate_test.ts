import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { DependencyHealthSchema, ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import { aggregate } from "../../../src/health/aggregate.ts";

type Status = keyof typeof ServiceStatus;

const critical = (status: Status) => dependency("critical", status, true);
const optional = (status: Status) => dependency("optional", status, false);

function dependency(name: string, status: Status, isCritical: boolean) {
  const message = status.toLowerCase();
  return create(DependencyHealthSchema, {
    name,
    isCritical,
    message,
    status: ServiceStatus[status],
  });
}

const ok = "Service is fully operational";
const unhealthy = "Service is unhealthy because of ";
const degraded = "Service is degraded because of ";

const table: [ReturnType<typeof dependency>[], Status, string][] = [
  [[], "HEALTHY", ok],
  [[critical("HEALTHY")], "HEALTHY", ok],
  [[optional("HEALTHY")], "HEALTHY", ok],
  [[critical("HEALTHY"), optional("HEALTHY")], "HEALTHY", ok],
  [[critical("DEGRADED")], "DEGRADED", `${degraded}critical (degraded)`],
  [[optional("DEGRADED")], "DEGRADED", `${degraded}optional (degraded)`],
  [[critical("HEALTHY"), optional("UNHEALTHY")], "DEGRADED", `${degraded}optional (unhealthy)`],
  [
    [critical("DEGRADED"), optional("UNHEALTHY")],
    "DEGRADED",
    `${degraded}critical (degraded), optional (unhealthy)`,
  ],
  [[critical("UNHEALTHY")], "UNHEALTHY", `${unhealthy}critical (unhealthy)`],
  [[critical("UNHEALTHY"), optional("HEALTHY")], "UNHEALTHY", `${unhealthy}critical (unhealthy)`],
  [
    [optional("DEGRADED"), critical("UNHEALTHY")],
    "UNHEALTHY",
    `${unhealthy}optional (degraded), critical (unhealthy)`,
  ],
  [
    [critical("SERVICE_STATUS_UNSPECIFIED")],
    "UNHEALTHY",
    `${unhealthy}critical (service_status_unspecified)`,
  ],
  [
    [optional("SERVICE_STATUS_UNSPECIFIED")],
    "DEGRADED",
    `${degraded}optional (service_status_unspecified)`,
  ],
];

for (const [dependencies, status, message] of table) {
  const names = dependencies.map(({ name, status }) => `${name} ${ServiceStatus[status]}`);
  Deno.test(`aggregate: ${names.join(" + ") || "nothing"} is ${status}`, () => {
    assert.deepEqual(aggregate(dependencies), { status: ServiceStatus[status], message });
  });
}
