import assert from "node:assert/strict";
import { connect } from "../../src/database/connection/connect.ts";
import type { Connection } from "../../src/database/connection/connection.ts";
import { startPostgres } from "../support/postgres.ts";
import { ends } from "../support/database_support.ts";

Deno.test("a statement that cannot be built fails alone, and nothing gets another's answer", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  const { sql } = connection;
  const wrong = new Date(NaN);
  await sql`select ${new Date()}::timestamptz as at`;
  const statements = [
    sql`select pg_sleep(0.1)`,
    sql`select ${wrong}::timestamptz as at`,
    sql`select 2 as number`,
  ];
  const [before, bad, after] = await ends(statements);
  const reason = (end?: PromiseSettledResult<unknown>) =>
    end?.status === "rejected" ? connection.explain(end.reason) : end;
  assert.ok(reason(bad) instanceof RangeError, String(reason(bad)));
  for (const other of [before, after]) {
    assert.equal((reason(other) as { code?: string }).code, "CONNECTION_LOST");
  }
});

Deno.test("statements that cannot be built end, however close they follow", async () => {
  await using server = await startPostgres();
  const build = ({ sql }: Connection, at = new Date(NaN)) => sql`select ${at}::timestamptz`;
  {
    await using connection = await connect(server.config());
    await build(connection, new Date());
    for (const end of await ends([build(connection), build(connection)])) {
      assert.equal(end.status, "rejected");
    }
  }
  {
    await using connection = await connect(server.config());
    await build(connection, new Date());
    const [end] = await ends([build(connection).catch(() => build(connection))]);
    assert.equal(end?.status, "rejected");
  }
});

Deno.test("when a statement that waits in the driver cannot be built, nobody is told another's end", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  const { sql } = connection;
  const statements = [
    sql`select ${"first use"}::text as what`,
    sql`select 2 as number`,
    sql`select ${undefined as never}::text as what`,
  ];
  const [first, ...others] = await ends(statements);
  // It can have been answered before; then the answer is its own.
  const [row] = first?.status === "fulfilled" ? first.value as { what: string }[] : [];
  assert.ok(row === undefined || row.what === "first use", JSON.stringify(row));
  for (const end of others) {
    assert.equal(end.status, "rejected");
    const { code } = connection.explain(end.reason) as { code?: string };
    assert.equal(code, "CONNECTION_LOST");
  }
  await connection.whenClosed;
});
