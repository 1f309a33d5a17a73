import assert from "node:assert/strict";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { Metrics } from "../../src/telemetry/metrics/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { createDatabase } from "../support/postgres.ts";

/** Each holds a connection until it is told to let go. */
type Hold = (database: DatabaseManager, letGo: Promise<void>) => Promise<unknown>;

const HOLDS: readonly Hold[] = [
  async function holdByConnection(database, letGo) {
    await database.withConnection(() => letGo);
  },
  async function holdByTransaction(database, letGo) {
    await database.transaction(() => letGo);
  },
  async function holdByReads(database, letGo) {
    await database.withConnection(() => letGo, { access: "read", timeoutMs: 60_000 });
  },
];

for (const hold of HOLDS) {
  Deno.test(`DB_LEAK_WARNING_AFTER names who holds a connection: ${hold.name}`, async () => {
    await using server = await createDatabase();
    using metrics = new Metrics({ version: "0.0.0-test", runtime: "safe" });
    const observer = metrics.databaseObserver; // as in the service, its frames are in the stack too
    await using manager = startManager(server, { leakWarningAfterMs: 20 }, { observer });
    await untilState(manager.database, "connected");
    const before = manager.logged.length; // the first look's own uses may have been slow
    const letGo = Promise.withResolvers<void>();
    const held = hold(manager.database, letGo.promise);
    const leak = await eventually(
      () => manager.logged.slice(before).find(({ event }) => event === "database.leak"),
      { what: "the leak is logged" },
    );
    assert.match(String(leak.stack), new RegExp(`at ${hold.name} .*database_leak_test\\.ts`));
    assert.doesNotMatch(String(leak.stack), /src\/database\//);
    letGo.resolve();
    await held;
  });
}
