import assert from "node:assert/strict";
// A type-only import may not have the attribute that JSON needs.
// deno-lint-ignore verbatim-module-syntax
import fixture from "./fixtures/health-response.json" with { type: "json" };

type Example = typeof fixture;

/** A GetHealthResponse in JSON. */
export type HealthJson = Example & {
  readonly version: string;
  readonly dependencies: readonly { readonly error?: string; readonly error_code?: string }[];
};

/** Asks for the health as a plain HTTP client does. */
export async function getHealth(url: string, request: unknown = {}): Promise<HealthJson> {
  const response = await fetch(`${url}/treasury.v1.Health/GetHealth`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  assert.equal(response.status, 200);
  return await response.json();
}

/** The status code of a GET. */
export async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
}
