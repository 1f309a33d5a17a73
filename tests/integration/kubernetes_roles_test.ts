import assert from "node:assert/strict";
import postgres from "postgres";
import { startPostgres } from "../support/postgres.ts";
import { readManifests } from "../unit/deploy/kubernetes/manifests.ts";

Deno.test("CloudNativePG's overlay: the service uses the migrator's tables, and makes none", async () => {
  const [cluster] = await readManifests("overlays/cloudnative-pg/cluster.yaml");
  const { owner, postInitApplicationSQL } = cluster.spec.bootstrap.initdb;
  const [{ name: service }] = cluster.spec.managed.roles;
  await using server = await startPostgres();
  // The test server has a role of this name already.
  await server.admin(`alter role ${service} rename to somebody_else`);

  // As the operator does: the owner's database, then these statements in it as the superuser.
  const database = "of_the_operator";
  await server.admin(`create role ${owner} login password 'secret'`);
  await server.admin(`create database ${database} owner ${owner}`);
  const as = (login: { user: string; password: string }) =>
    postgres({ ...server.superuser, ...login, database, max: 1 });
  const administrator = as(server.superuser);
  for (const statement of postInitApplicationSQL) await administrator.unsafe(statement);
  await administrator.unsafe(`alter role ${service} password 'secret'`);
  await administrator.end();

  const migrator = as({ user: owner, password: "secret" });
  await migrator`create table entry (id bigserial primary key, note text)`;
  await migrator.end();

  const sql = as({ user: service, password: "secret" });
  await sql`insert into entry (note) values ('new')`;
  await sql`update entry set note = 'changed'`;
  assert.deepEqual([...await sql`select id, note from entry`], [{ id: "1", note: "changed" }]);
  await sql`delete from entry`;
  await assert.rejects(sql`create table other (id int)`, { code: "42501" });
  await assert.rejects(sql`drop table entry`, { code: "42501" });
  await sql.end();
});
