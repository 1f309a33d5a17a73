import assert from "node:assert/strict";
import { createDatabase } from "../support/postgres.ts";
import { databaseUrl, ROOT } from "../support/service.ts";

Deno.test("every example in a docstring compiles and runs, on a real database", async () => {
  await using server = await createDatabase();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", "--allow-all", "src/"],
    cwd: ROOT,
    // The examples share the database, so each must have names of its own in it.
    env: { NO_COLOR: "1", DATABASE_URL: databaseUrl(server) },
  }).output();
  const output = new TextDecoder().decode(stdout);
  assert(success, output + new TextDecoder().decode(stderr));
  assert.match(output, /src\/database\/manager\.ts#\d+-\d+\.ts \.\.\. ok/);
});
