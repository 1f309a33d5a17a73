/**
 * What goes wrong with a database, in a process of another runtime: each of these depends on how it
 * does sockets, timers and errors. Prints what was found, in JSON.
 *
 * @module
 */
import process from "node:process";
import { databaseConfig } from "@treasury-service/kit/config";
import { DatabaseError, DatabaseManager } from "@treasury-service/kit/database";

const { DATABASE_URL = "" } = process.env;

/** The code of the error that the work fails with. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    return error instanceof DatabaseError ? error.code : String(error);
  }
}

async function untilDisconnected(database: DatabaseManager): Promise<void> {
  if (database.state === "disconnected") return;
  const { promise, resolve } = Promise.withResolvers<void>();
  database.onStateChange(({ state }) => state === "disconnected" && resolve());
  await promise;
}

const found: Record<string, unknown> = {};
{
  await using database = new DatabaseManager(DATABASE_URL, { maxConnections: 2 });
  database.start();
  const [values] = await database.query`
    select ${2 ** 31}::float8 as number, ${"é"}::text as text, ${true}::bool as bool,
      ${null}::text as nothing
  `;
  found.values = values;
  found.timeout = await codeOf(database.query({ timeoutMs: 500 })`select pg_sleep(60)`);
  const abort = new AbortController();
  const aborted = codeOf(database.query({ signal: abort.signal })`select pg_sleep(60)`);
  setTimeout(() => abort.abort(), 50);
  found.abort = await aborted;
  found.unique = await codeOf(database.transaction(async (tx) => {
    await tx`create table entry (id int primary key)`;
    await tx`insert into entry values (1)`;
    await tx`insert into entry values (1)`;
  }));

  // The session dies under the statement.
  found.lost = await codeOf(database.query`select pg_terminate_backend(pg_backend_pid())`);
  const read = database.query({ idempotent: true, access: "read" });
  found.afterwards = (await read<{ one: number }>`select 1 as one`)[0]?.one;
  found.many = (await Promise.all(
    Array.from({ length: 50 }, (_, n) => database.query<{ n: number }>`select ${n}::int as n`),
  )).reduce((sum, [row]) => sum + (row?.n ?? 0), 0);
}
{
  const { hosts, ...config } = databaseConfig(DATABASE_URL);
  // Nobody listens on the first port of a machine.
  const refusing = hosts.map(({ host }) => ({ host, port: 1 }));
  await using database = new DatabaseManager({ ...config, hosts: refusing });
  database.start();
  await untilDisconnected(database);
  found.refused = database.outage?.code;
}
console.log(JSON.stringify(found));
