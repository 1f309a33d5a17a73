import assert from "node:assert/strict";
import { join } from "node:path";
import { initDatabase, initEnv } from "../support/database_roles.ts";
import { untilNoSessions } from "../support/database_support.ts";
import { startPostgres } from "../support/postgres.ts";
import { ROOT } from "../support/service.ts";

/** What each example prints, in this order; there can be more in between. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  "circuit_breaker.ts": [
    "call 3: failed",
    "call 4: rejected by the circuit breaker",
    '{ state: "open", rejectedCount: 2 }',
  ],
  "database_manager.ts": [
    '{ actor: "ada", isolation: "serializable" }',
    '{ user: "treasury_user" }',
    "database.closed",
  ],
  "other_service.ts": [
    "session of ledger-service",
    "transaction: repeatable read",
    "ledger-primary: HEALTHY",
    "database.closed",
  ],
};

const EXAMPLES_DIRECTORY = join(ROOT, "examples");

Deno.test("every example is run here", async () => {
  const files = await Array.fromAsync(Deno.readDir(EXAMPLES_DIRECTORY), ({ name }) => name);
  assert.deepEqual(files.toSorted(), Object.keys(EXAMPLES).toSorted());
});

for (const [name, texts] of Object.entries(EXAMPLES)) {
  Deno.test(`the example ${name} does what it says with the rights that db:init gives`, async () => {
    await using postgres = await startPostgres();
    const settings: Record<string, string> = {
      ...initEnv(postgres),
      DB_USER: postgres.database.user,
    };
    await initDatabase(settings);
    const { DB_USER, DB_PASSWORD, DB_HOST, DB_PORT, DB_NAME } = settings;
    const url = `postgresql://${DB_USER}:${DB_PASSWORD}@${DB_HOST}:${DB_PORT}/${DB_NAME}`;
    const { PATH = "", HOME = "" } = Deno.env.toObject();
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", join(EXAMPLES_DIRECTORY, name)],
      clearEnv: true,
      env: { PATH, HOME, NO_COLOR: "1", DATABASE_URL: url, ...settings },
    }).output();
    const decoder = new TextDecoder();
    const output = decoder.decode(stdout);
    assert.equal(decoder.decode(stderr), "");
    assert.equal(code, 0, output);
    let end = 0;
    for (const text of texts) {
      const start = output.indexOf(text, end);
      assert.ok(start >= 0, `${text} comes not, or too early, in\n${output}`);
      end = start + text.length;
    }
    await untilNoSessions(postgres);
  });
}
