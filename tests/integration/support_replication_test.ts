import assert from "node:assert/strict";
import { serverProcesses } from "../../dev/postgres/processes.ts";
import { exists } from "../../dev/files.ts";
import { eventually } from "../support/condition.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { type ReplicationPair, startReplicationPair } from "../support/replication.ts";

async function startPairWithTable(options = {}): Promise<ReplicationPair> {
  const pair = await startReplicationPair(options);
  await pair.primary.admin("create table entry (id text)");
  return pair;
}

async function write(server: TestPostgres, id: string): Promise<void> {
  await server.admin("insert into entry values ($1)", [id]);
}

async function entries(server: TestPostgres): Promise<unknown[]> {
  return (await server.admin("select id from entry order by id")).map(({ id }) => id);
}

const READ_ONLY = { code: "25006" };

Deno.test("the standby has the primary's data and refuses writes", async () => {
  await using pair = await startPairWithTable();
  await write(pair.primary, "a");
  await pair.waitForReplay();
  assert.deepEqual(await entries(pair.standby), ["a"]);
  await assert.rejects(write(pair.standby, "b"), READ_ONLY);
  assert.deepEqual(pair.hosts, [...pair.primary.config().hosts, ...pair.standby.config().hosts]);
  assert.equal(await pair.standby.sessions(), 0);
});

Deno.test("the primary is killed: the standby serves reads, and after promotion writes", async () => {
  await using pair = await startPairWithTable();
  await write(pair.primary, "a");
  await pair.waitForReplay();
  await pair.primary.kill();
  assert.deepEqual(await entries(pair.standby), ["a"]);
  await assert.rejects(write(pair.standby, "b"), READ_ONLY);
  await pair.promote();
  await write(pair.standby, "b");
  assert.deepEqual(await entries(pair.standby), ["a", "b"]);
});

Deno.test("the roles can be exchanged, and the old primary is read-only then", async () => {
  await using pair = await startPairWithTable();
  await write(pair.primary, "a");
  await pair.primary.stop();
  await pair.promote();
  await pair.rejoin();
  await write(pair.standby, "b");
  await pair.waitForReplay();
  assert.deepEqual(await entries(pair.primary), ["a", "b"]);
  await assert.rejects(write(pair.primary, "c"), READ_ONLY);
});

for (const fault of ["stop", "kill"] as const) {
  Deno.test(`a standby catches up after ${fault} and start`, async () => {
    await using pair = await startPairWithTable();
    await pair.standby[fault]();
    await write(pair.primary, "meanwhile");
    await pair.standby.start();
    await pair.waitForReplay();
    assert.deepEqual(await entries(pair.standby), ["meanwhile"]);
  });

  Deno.test(`the standby finds its primary again after ${fault} and start`, async () => {
    await using pair = await startPairWithTable();
    await pair.primary[fault]();
    await pair.primary.start();
    await write(pair.primary, "after");
    await pair.waitForReplay();
    assert.deepEqual(await entries(pair.standby), ["after"]);
  });
}

Deno.test("a frozen standby holds up commits only when it is synchronous", async () => {
  for (const synchronous of [false, true]) {
    await using pair = await startPairWithTable({ synchronous });
    await pair.standby.freeze();
    const written = write(pair.primary, "a");
    if (synchronous) {
      await eventually(async () => {
        const rows = await pair.primary.admin(
          "select from pg_stat_activity where wait_event = 'SyncRep'",
        );
        return rows.length === 1;
      }, { what: "the commit waits for the standby" });
    } else {
      await written;
    }
    await pair.standby.resume();
    await written;
    if (synchronous) assert.deepEqual(await entries(pair.standby), ["a"], "applied at once");
  }
});

Deno.test("disposing leaves no process and no file, whatever state the pair is in", async () => {
  const pair = await startPairWithTable({ synchronous: true });
  const servers = await Promise.all([pair.primary, pair.standby].map(async (server) => {
    const [row] = await server.admin<{ name: string; directory: string }>(
      `select current_setting('cluster_name') as name,
              current_setting('data_directory') as directory`,
    );
    return row!;
  }));
  await pair.standby.freeze();
  await pair[Symbol.asyncDispose]();
  for (const { name, directory } of servers) {
    assert.deepEqual(await serverProcesses(name), []);
    assert.equal(await exists(directory), false);
  }
});
