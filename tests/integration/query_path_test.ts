import assert from "node:assert/strict";
import { runTask } from "../support/command.ts";
import { createDatabase } from "../support/postgres.ts";
import { databaseEnv } from "../support/service.ts";

/**
 * What one query may call of `src/`. These are what it calls now, and only ever to be lowered: a
 * query that is simple to follow is simple to change.
 */
const MOST_FILES = 15;
const MOST_FUNCTIONS = 45;

Deno.test("one query is simple to follow: it calls few files and functions above the driver", async () => {
  await using server = await createDatabase();
  const { code, output } = await runTask("bench:path", [], { env: databaseEnv(server) });
  assert.equal(code, 0, output);
  const [, files, functions] = output.match(/: (\d+) files, (\d+) functions$/m) ?? [];
  // Less than that would not be a query that was counted.
  assert.match(output, /^src\/database\/manager\.ts\n +1 × query$/m);
  assert.match(output, /^src\/database\/pool\/pool\.ts$/m);
  assert.ok(Number(files) <= MOST_FILES, `more than ${MOST_FILES} files:\n${output}`);
  assert.ok(
    Number(functions) <= MOST_FUNCTIONS,
    `more than ${MOST_FUNCTIONS} functions:\n${output}`,
  );
});
