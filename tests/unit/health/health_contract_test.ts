import assert from "node:assert/strict";
import { create, type JsonObject, toJson } from "@bufbuild/protobuf";
import {
  DependencyType,
  GetHealthResponseSchema,
  ServiceStatus,
} from "../../../gen/treasury/v1/health_pb.ts";
import fixture from "../../support/fixtures/health-response.json" with { type: "json" };
import { assertHealthContract } from "../../support/health_contract.ts";

/** As the server writes it. */
const JSON_OPTIONS = { alwaysEmitImplicit: true, useProtoFieldName: true };

function live() {
  const times = { lastCheck: "2026-02-03T04:05:06Z", responseTimeMs: 0 };
  const response = create(GetHealthResponseSchema, {
    status: ServiceStatus.UNHEALTHY,
    checkedAt: "2026-02-03T04:05:06Z",
    dependencies: [
      {
        type: DependencyType.DATABASE,
        status: ServiceStatus.UNHEALTHY,
        config: { databaseName: "", schemaName: "", poolInfo: {} },
        ...times,
      },
      {
        type: DependencyType.GRPC_SERVICE,
        status: ServiceStatus.DEGRADED,
        config: {},
        ...times,
      },
    ],
  });
  return toJson(GetHealthResponseSchema, response, JSON_OPTIONS) as JsonObject;
}

Deno.test("health contract: the example keeps its own contract", () => {
  assertHealthContract(structuredClone(fixture));
});

Deno.test("health contract: the messages keep it, zeros and extensions included", () => {
  assertHealthContract(live());
});

Deno.test("health contract: without dependencies it is kept", () => {
  assertHealthContract({ ...live(), dependencies: [] });
});

/** Every path of the example, such as `dependencies.0.config.pool_info.wait_count`. */
function paths(value: unknown, prefix = ""): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    // One dependency less is no breach.
    return [...(/^\d+$/.test(key) ? [] : [path]), ...paths(child, path)];
  });
}

/** A copy of what is live, with the value at the path replaced, or taken away. */
function altered(path: string, change: (value: unknown) => unknown): unknown {
  const copy = live();
  const keys = path.split(".");
  const last = keys.pop()!;
  // deno-lint-ignore no-explicit-any
  const parent = keys.reduce((node: any, key) => node[key], copy);
  const value = change(parent[last]);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return copy;
}

for (const path of paths(fixture)) {
  Deno.test(`health contract: ${path} must be there, with its type`, () => {
    assert.throws(() => assertHealthContract(altered(path, () => undefined)), /response/);
    const otherType = (value: unknown) => typeof value === "string" ? 0 : String(value);
    assert.throws(() => assertHealthContract(altered(path, otherType)), /response/);
  });
}

const breaches: [string, string, unknown][] = [
  ["a status with a prefix", "status", "SERVICE_STATUS_HEALTHY"],
  ["a status in lower case", "dependencies.0.status", "healthy"],
  ["no status", "status", "SERVICE_STATUS_UNSPECIFIED"],
  ["an unknown type", "dependencies.1.type", "GRPC"],
  ["fractions of a second", "checked_at", "2025-01-10T10:30:00.123Z"],
  ["a local time", "dependencies.0.last_check", "2025-01-10T10:30:00+01:00"],
  ["a fraction where whole numbers are", "check_duration_ms", 0.5],
  ["null for an object", "dependencies.0.config.pool_info", null],
];
for (const [what, path, value] of breaches) {
  Deno.test(`health contract: ${what} is a breach`, () => {
    assert.throws(() => assertHealthContract(altered(path, () => value)), /response/);
  });
}
