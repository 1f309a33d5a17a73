import { buildSync } from "esbuild";
import assert from "node:assert/strict";
import { join } from "node:path";
import { untilNoSessions } from "../support/database_support.ts";
import { PACKAGE_EXPORTS } from "../support/package.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { testUnless } from "../support/requirement.ts";
import { BUN, NODE, type Runtime, runtimePath, whyNoRuntime } from "../support/runtimes.ts";
import { databaseUrl, ROOT } from "../support/service.ts";

// Here and not in the tests, which esbuild's worker would outlive.
const example = bundle("examples/other_service.ts");
const faults = bundle("tests/support/runtime_main.ts");

for (const runtime of [NODE, BUN]) {
  const problem = whyNoRuntime(runtime);

  testUnless(problem, `another service has the parts in ${runtime.name}`, async () => {
    await using server = await createDatabase();
    const output = await run(runtime, example, server);
    const expected = [
      "session of ledger-service",
      "transaction: repeatable read",
      "ledger-primary: HEALTHY",
      "database.closed",
    ];
    const places = expected.map((text) => output.indexOf(text));
    assert(!places.includes(-1), output);
    assert.deepEqual(places, places.toSorted((a, b) => a - b), output);
    await untilNoSessions(server);
  });

  testUnless(problem, `${runtime.name} has the same errors of the database`, async () => {
    await using server = await createDatabase();
    assert.deepEqual(JSON.parse(await run(runtime, faults, server)), {
      values: { number: 2 ** 31, text: "é", bool: true, nothing: null },
      timeout: "STATEMENT_TIMEOUT",
      abort: "ABORTED",
      unique: "UNIQUE_VIOLATION",
      lost: "COMMIT_UNKNOWN",
      afterwards: 1,
      many: 1225,
      refused: "CONNECTION_REFUSED",
    });
    await untilNoSessions(server);
  });
}

/**
 * The program as one file, for runtimes without TypeScript and `using`. It has all that it needs in
 * it, because it runs where no package can be found.
 */
function bundle(program: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(ROOT, program)],
    alias: { ...PACKAGE_EXPORTS },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node22",
    banner: {
      // Packages that are CommonJS call it.
      js: 'import { createRequire } from "node:module";\n' +
        "const require = createRequire(import.meta.url);",
    },
    write: false,
    logLevel: "warning",
  });
  return outputFiles[0]!.text;
}

/** What the program prints; it must succeed without a warning. */
async function run(runtime: Runtime, text: string, server: TestDatabase): Promise<string> {
  const command = await runtimePath(runtime);
  const directory = await Deno.makeTempDir({ prefix: "treasury-runtime-" });
  try {
    const path = join(directory, "main.mjs");
    await Deno.writeTextFile(path, text);
    const { PATH = "", HOME = "" } = Deno.env.toObject();
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: [path],
      cwd: directory,
      clearEnv: true,
      env: { PATH, HOME, NO_COLOR: "1", DATABASE_URL: databaseUrl(server) },
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.equal(code, 0);
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
