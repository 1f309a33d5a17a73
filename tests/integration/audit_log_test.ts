import assert from "node:assert/strict";
import type postgres from "postgres";
import { FORBIDDEN, initDatabase, initEnv, withLogin } from "../support/database_roles.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const APPEND_ONLY = { code: "42501", message: /audit_log is append-only/ };

/** A server with the audited table "account", as db:init and a migration leave it. */
async function startAudited(): Promise<AsyncDisposable & { env: Record<string, string> }> {
  await using cleanup = new AsyncDisposableStack();
  const server: TestPostgres = cleanup.use(await startPostgres());
  const env = initEnv(server);
  await initDatabase(env);
  await withLogin(env, "migrator", async (sql) => {
    await sql`create table account (id int primary key, owner text, pin text)`;
    await sql`select audit_table('account', 'pin')`;
  });
  const owned = cleanup.move();
  return { env, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function entriesOf(sql: postgres.Sql) {
  return sql`select operation, old_row, new_row from audit_log order by id`;
}

Deno.test("every change of an audited table is recorded, without the hidden columns", async () => {
  await using server = await startAudited();
  await withLogin(server.env, "service", async (sql) => {
    await sql`insert into account values (1, 'ann', '1234')`;
    await sql.begin(async (sql) => {
      await sql`select set_config('audit.actor', 'clerk 7', true)`;
      await sql`update account set owner = 'bob', pin = '4321'`;
    });
    await sql`delete from account`;
  });
  await withLogin(server.env, "migrator", (sql) => sql`truncate account`);
  await withLogin(server.env, "service", async (sql) => {
    const ann = { id: 1, owner: "ann" };
    const bob = { id: 1, owner: "bob" };
    assert.deepEqual([...await entriesOf(sql)], [
      { operation: "INSERT", old_row: null, new_row: ann },
      { operation: "UPDATE", old_row: ann, new_row: bob },
      { operation: "DELETE", old_row: bob, new_row: null },
      { operation: "TRUNCATE", old_row: null, new_row: null },
    ]);
    const [update] = await sql`
      select login_role, actor, client_address = inet_client_addr() as "isOurAddress",
        schema_name, table_name
      from audit_log where operation = 'UPDATE'`;
    assert.deepEqual(update, {
      login_role: "ledger_service",
      actor: "clerk 7",
      isOurAddress: true,
      schema_name: "public",
      table_name: "account",
    });
  });
});

Deno.test("a change that is rolled back is not recorded", async () => {
  await using server = await startAudited();
  await withLogin(server.env, "service", async (sql) => {
    const undone = sql.begin(async (sql) => {
      await sql`insert into account values (1, 'ann')`;
      throw new Error("undo");
    });
    await assert.rejects(undone, /undo/);
    assert.deepEqual([...await entriesOf(sql)], []);
  });
});

Deno.test("the audit log cannot be changed by the service, its owner or a superuser", async () => {
  await using server = await startAudited();
  await withLogin(server.env, "service", async (sql) => {
    await sql`insert into account values (1, 'ann')`;
    await assert.rejects(sql`insert into audit_log default values`, FORBIDDEN);
    await assert.rejects(sql`update audit_log set actor = 'x'`, FORBIDDEN);
    await assert.rejects(sql`delete from audit_log`, FORBIDDEN);
    await assert.rejects(sql`truncate audit_log`, FORBIDDEN);
    await assert.rejects(sql`alter table audit_log disable trigger all`, FORBIDDEN);
    await assert.rejects(sql`set session_replication_role = replica`, FORBIDDEN);
  });
  for (const who of ["migrator", "admin"] as const) {
    await withLogin(server.env, who, async (sql) => {
      if (who === "admin") await sql`set session_replication_role = replica`;
      await assert.rejects(sql`update audit_log set actor = 'x'`, APPEND_ONLY);
      await assert.rejects(sql`delete from audit_log where false`, APPEND_ONLY);
      await assert.rejects(sql`truncate audit_log`, APPEND_ONLY);
      assert.equal((await entriesOf(sql)).length, 1);
    });
  }
});

Deno.test("an entry cannot be forged, nor led astray", async () => {
  await using server = await startAudited();
  // Temporary tables are not allowed by db:init; where they are, they must not help either.
  await withLogin(server.env, "admin", (sql) => sql`grant temporary on database ledger to public`);
  await withLogin(server.env, "service", async (sql) => {
    await sql`create temporary table audit_log (like public.audit_log including all)`;
    await sql`insert into account values (1, 'ann')`;
    assert.equal((await sql`select from public.audit_log`).length, 1);
    assert.equal((await sql`select from pg_temp.audit_log`).length, 0);

    await sql`create temporary table forged (id int)`;
    const attach = sql`create trigger forge after insert on forged
      for each row execute function record_audit()`;
    await assert.rejects(attach, FORBIDDEN);
    await assert.rejects(sql`select audit_table('forged')`, FORBIDDEN);
  });
});

Deno.test("a hidden column must exist; calling again hides another", async () => {
  await using server = await startAudited();
  await withLogin(server.env, "migrator", async (sql) => {
    await assert.rejects(sql`select audit_table('account', 'pim')`, {
      code: "42703",
      message: "table account has no column pim",
    });
    await sql`select audit_table('account', 'owner', 'pin')`;
    await sql`insert into account values (1, 'ann', '1234')`;
    const [entry] = await entriesOf(sql);
    assert.deepEqual(entry?.new_row, { id: 1 });
  });
});

Deno.test("an audit trail with entries is not dropped unless that is said", async () => {
  await using server = await startAudited();
  await withLogin(server.env, "migrator", async (sql) => {
    await sql`insert into account values (1)`;
    const down = (name: string) => {
      const file = new URL(`../../migrations/${name}.down.sql`, import.meta.url);
      return sql.unsafe(Deno.readTextFileSync(file)).simple();
    };
    // While a table is audited, the trigger's function stays.
    await assert.rejects(down("000003_create_audit_trigger"), { code: "2BP01" });
    await sql`drop table account`;
    await down("000003_create_audit_trigger");
    await assert.rejects(down("000002_create_audit_log"), /archive them/);
    assert.equal((await entriesOf(sql)).length, 1);
    await sql`set audit.drop_log = 'yes'`;
    await down("000002_create_audit_log");
    await assert.rejects(entriesOf(sql), { code: "42P01" });
  });
});
