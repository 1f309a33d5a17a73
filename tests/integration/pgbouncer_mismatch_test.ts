import assert from "node:assert/strict";
import { connect, DatabaseError, ensureSchema, migrateUp } from "../../src/database/mod.ts";
import type { DatabaseConfig } from "../../src/config/mod.ts";
import { startPostgres } from "../support/postgres.ts";
import { pgBouncerTest, POOL_MODES, startPgBouncer } from "../support/pgbouncer.ts";
import { startManager, untilState } from "../support/database_support.ts";

/** What PgBouncer drops without a word when it is told so. */
const DROP_PARAMETERS = { ignore_startup_parameters: "search_path,options" };

async function connectFailure(config: DatabaseConfig): Promise<DatabaseError> {
  try {
    await using _ = await connect(config);
  } catch (error) {
    assert.ok(error instanceof DatabaseError);
    return error;
  }
  throw new assert.AssertionError({ message: "The connection was made" });
}

for (const mode of POOL_MODES) {
  pgBouncerTest(`a pooler in ${mode} mode that DB_POOLER does not know of is refused`, async () => {
    await using server = await startPostgres();
    for (const settings of [{}, DROP_PARAMETERS]) {
      await using bouncer = await startPgBouncer(server, mode, { settings });
      const { code, message, retryable } = await connectFailure(bouncer.config({ pooler: "none" }));
      assert.equal(code, "POOLER_MISMATCH", message);
      assert.match(message, /DB_POOLER/);
      assert.equal(retryable, false);
    }
  });
}

pgBouncerTest("transaction mode is found out where DB_POOLER says session", async () => {
  await using server = await startPostgres();
  await using bouncer = await startPgBouncer(server, "transaction");
  await using test = startManager(server, bouncer.config({ pooler: "session" }));
  await untilState(test.database, "disconnected");
  const error = test.database.outage;
  assert.equal(error?.code, "POOLER_MISMATCH");
  assert.match(error.message, /Set DB_POOLER to transaction/);
});

pgBouncerTest("session mode is not mistaken for transaction mode", async () => {
  await using server = await startPostgres();
  for (const size of [1, 20]) {
    const settings = { default_pool_size: size };
    await using bouncer = await startPgBouncer(server, "session", { settings });
    await using test = startManager(server, bouncer.config({ maxConnections: 1 }));
    await untilState(test.database, "connected");
    assert.deepEqual(test.events, ["database.connected"]);
  }
});

pgBouncerTest("in transaction mode the search path must be set for the role", async () => {
  await using server = await startPostgres();
  await server.admin("create schema treasury authorization treasury_user");
  await using bouncer = await startPgBouncer(server, "transaction");
  const { code, message } = await connectFailure(bouncer.config({ schema: "treasury" }));
  assert.equal(code, "POOLER_MISMATCH");
  const [remedy] = /alter role .* set search_path = [^;]*/.exec(message) ?? [];
  assert.ok(remedy, message);

  await server.admin(remedy);
  await using again = await startPgBouncer(server, "transaction");
  await using connection = await connect(again.config({ schema: "treasury" }));
  assert.deepEqual([...await connection.sql`select current_schema()`], [
    { current_schema: "treasury" },
  ]);
});

for (const pooler of POOL_MODES) {
  Deno.test(`DB_POOLER ${pooler} without a pooler works, with a warning`, async () => {
    await using server = await startPostgres();
    await using test = startManager(server, { pooler });
    await untilState(test.database, "connected");
    await test.database.query`select 1`;
    assert.deepEqual(test.events, ["database.no_pooler", "database.connected"]);
  });
}

for (const mode of POOL_MODES) {
  pgBouncerTest(
    `migrations are refused behind ${mode} mode; to look at the schema is not`,
    async () => {
      await using server = await startPostgres();
      await using bouncer = await startPgBouncer(server, mode, {
        settings: { default_pool_size: 1 },
      });
      await assert.rejects(migrateUp(bouncer.config()), {
        code: "POOLER_MISMATCH",
        message: /DB_POOLER=none/,
      });
      await server.admin("alter role treasury_user set statement_timeout = '30s'");
      assert.equal(await ensureSchema(bouncer.config()), undefined);
      await using connection = await connect(bouncer.config());
      const [row] = await connection.sql<{ limit: string }>`
      select current_setting('statement_timeout') as limit
    `;
      assert.equal(row?.limit, "30s", "looking left nothing in the shared session");
    },
  );
}
