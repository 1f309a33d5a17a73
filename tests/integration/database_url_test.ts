import assert from "node:assert/strict";
import { DatabaseError, DatabaseManager } from "../../src/database/mod.ts";
import { untilNoSessions, untilState } from "../support/database_support.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { databaseUrl } from "../support/service.ts";

function recordingLogger() {
  const records: unknown[] = [];
  const log = (...record: unknown[]) => void records.push(record);
  return { records, info: log, warn: log, error: log };
}

Deno.test("a manager works with nothing but a URL", async () => {
  await using server = await createDatabase();
  {
    await using database = new DatabaseManager(databaseUrl(server));
    database.start();
    const [row] = await database.query`select 1 as one`;
    assert.deepEqual(row, { one: 1 });
  }
  await untilNoSessions(server);
});

Deno.test("options override the URL and the defaults", async () => {
  await using server = await createDatabase();
  await using database = new DatabaseManager(new URL(databaseUrl(server)), {
    applicationName: "ledger",
    maxConnections: 3,
  });
  database.start();
  const [row] = await database.query<{ name: string }>`
    select current_setting('application_name') as name
  `;
  assert.equal(row?.name, "ledger");
  assert.equal(database.poolStats().max, 3);
});

Deno.test("neither logs nor errors show a URL that does not work", async () => {
  await using server = await createDatabase();
  const logger = recordingLogger();
  const url = wrongPassword(server);
  await using database = new DatabaseManager(url, { logger });
  database.start();
  await untilState(database, "disconnected");
  const error = await database.query`select 1`.then(() => undefined, (error) => error);
  assert(error instanceof DatabaseError);
  const shown = Deno.inspect([logger.records, error, database], { depth: 20 });
  assert.doesNotMatch(shown, /hunter2|postgresql:\/\//);
  assert.notEqual(logger.records.length, 0);
});

function wrongPassword(server: TestDatabase): string {
  const url = new URL(databaseUrl(server));
  url.password = "hunter2";
  return url.href;
}
