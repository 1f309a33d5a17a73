import assert from "node:assert/strict";
import type { Access } from "../../src/database/access_mode.ts";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { startManager, untilRunning, untilState } from "../support/database_support.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

/** Runs a statement until its caller gives it up. */
async function giveUp(
  database: DatabaseManager,
  server: TestPostgres,
  { access, code, beforeAbort }: {
    readonly access: Access;
    readonly code: string;
    readonly beforeAbort: () => Promise<void>;
  },
): Promise<void> {
  const abort = new AbortController();
  const query = database.query({ access, signal: abort.signal })`select pg_sleep(600)`;
  const failed = assert.rejects(query, { code });
  await untilRunning(server, "pg_sleep");
  await beforeAbort();
  abort.abort();
  await failed;
}

Deno.test("an aborted call does not count as a database failure", async () => {
  await using server = await startPostgres();
  await using test = startManager(server);
  const { database } = test;
  await untilState(database, "connected");
  const { acquireCount } = database.poolStats();
  await giveUp(database, server, {
    access: "read",
    code: "ABORTED",
    beforeAbort: () => Promise.resolve(),
  });
  await database.query`select 1`;
  assert.equal(database.poolStats().acquireCount, acquireCount + 2, "nobody asks how it is");
});

for (const [access, code] of [["read", "ABORTED"], ["write", "COMMIT_UNKNOWN"]] as const) {
  Deno.test(`a frozen server is noticed after the first ${access} that its caller gave up`, async () => {
    await using server = await startPostgres();
    await using test = startManager(server, { pingTimeoutMs: 300, connectTimeoutMs: 300 });
    const { database } = test;
    await untilState(database, "connected");
    await giveUp(database, server, { access, code, beforeAbort: () => server.freeze() });
    await untilState(database, "disconnected");
    await server.resume();
    await untilState(database, "connected");
  });
}
