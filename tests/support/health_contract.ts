import assert from "node:assert/strict";
import { DependencyType, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import fixture from "./fixtures/health-response.json" with { type: "json" };

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Fields whose values are names of an enum. */
const ENUMS: Readonly<Record<string, readonly string[]>> = {
  status: specifiedNames(ServiceStatus),
  type: specifiedNames(DependencyType),
};

const RFC_3339_SECONDS = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/**
 * Asserts that the JSON of a GetHealthResponse has the shape of the specification's example: every
 * field is there, under the same name, with the same JSON type and the same spelling of enums and
 * times. A dependency is held against the example's dependency of its type. More fields may be
 * there; values may differ.
 *
 * ```ts
 * const response = await fetch(`${origin}/treasury.v1.Health/GetHealth`, post("{}"));
 * assertHealthContract(await response.json());
 * ```
 */
export function assertHealthContract(live: unknown): asserts live is typeof fixture {
  const { dependencies: examples, ...service } = fixture;
  const response = assertShape(live, service, "response");
  assert(Array.isArray(response.dependencies), "response.dependencies is an array");
  response.dependencies.forEach((dependency: unknown, index) => {
    const path = `response.dependencies[${index}]`;
    const type = isObject(dependency) ? dependency.type : undefined;
    const example = examples.find((candidate) => candidate.type === type);
    assert(example !== undefined, `${path}.type is one of the example's, not ${inspect(type)}`);
    assertShape(dependency, example, path);
  });
}

function assertShape(
  live: unknown,
  example: { readonly [key: string]: Json },
  path: string,
): Record<string, unknown> {
  assert(isObject(live), `${path} is an object`);
  for (const [key, value] of Object.entries(example)) {
    assert(Object.hasOwn(live, key), `${path}.${key} is present`);
    assertValue(live[key], value, `${path}.${key}`, ENUMS[key]);
  }
  return live;
}

function assertValue(
  live: unknown,
  example: Json,
  path: string,
  names: readonly string[] | undefined,
): void {
  if (isObject(example)) {
    assertShape(live, example as { readonly [key: string]: Json }, path);
    return;
  }
  assert.equal(typeof live, typeof example, `${path} is a ${typeof example}: ${inspect(live)}`);
  if (names !== undefined) {
    assert(names.includes(String(example)), `the example's ${path} is one of ${names}`);
    assert(names.includes(String(live)), `${path} is one of ${names}: ${inspect(live)}`);
  }
  if (Number.isInteger(example)) assert(Number.isInteger(live), `${path} is a whole number`);
  if (RFC_3339_SECONDS.test(String(example))) {
    assert.match(String(live), RFC_3339_SECONDS, `${path} is an RFC 3339 time in UTC`);
  }
}

function specifiedNames(type: Record<string, string | number>): string[] {
  return Object.keys(type).filter((key) => typeof type[key] === "number" && type[key] !== 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function inspect(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
