import assert from "node:assert/strict";
import { join } from "node:path";
import { judgeRuntime } from "../../src/runtime.ts";
import { scrape } from "../support/scrape.ts";
import { ROOT, startService } from "../support/service.ts";

/** A database that nobody has: enough for what does not need one. */
const env = { DB_HOST: "127.0.0.1", DB_PORT: "1" };

Deno.test("a service on a Deno version that leaks logs a warning and runs", async () => {
  const preload = join(ROOT, "tests/support/leaking_deno.ts");
  await using service = await startService({ env, preload });
  const warnings = service.logs.filter(({ event }) => event === "runtime.unsafe");
  assert.deepEqual(
    warnings.map(({ level, deno, runtime, msg }) => ({ level, deno, runtime, msg })),
    [{ level: "warn", deno: "2.9.3", runtime: "leaks", msg: judgeRuntime("2.9.3").advice }],
  );
  assert.deepEqual(await runtimeOf(service.url), { deno: "2.9.3", runtime: "leaks" });
});

Deno.test("the version of Deno that runs the tests is in the metrics, with what is known of it", async () => {
  const { safety, advice } = judgeRuntime(Deno.version.deno);
  await using service = await startService({ env });
  const advised = service.logs.find(({ event }) => event === "runtime.unsafe")?.msg;
  assert.equal(advised, advice);
  assert.deepEqual(await runtimeOf(service.url), { deno: Deno.version.deno, runtime: safety });
});

/** What Prometheus is told of the Deno that runs the service. */
async function runtimeOf(url: string) {
  const { families } = await scrape(url);
  const { deno, runtime } = families.get("treasury_build_info")?.samples[0]?.labels ?? {};
  return { deno, runtime };
}
