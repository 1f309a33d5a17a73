/**
 * Uses a database with tracing, as a process of its own, because Deno decides at its start whether
 * it exports. The arguments are the environment to read the configuration from, in JSON, and the
 * name of the manager; without one it has the default.
 *
 * @module
 */
import { loadConfig } from "../../src/config/mod.ts";
import { DatabaseManager } from "../../src/database/mod.ts";
import { createTracing } from "../../src/telemetry/tracing/mod.ts";

const config = loadConfig({ env: JSON.parse(Deno.args[0] ?? "{}") }).database;
const name = Deno.args[1];
const tracing = createTracing({ version: "0.0.0-test", database: config });
const observer = name === undefined
  ? tracing?.databaseObserver
  : tracing?.observeDatabase({ ...config, name });
await using database = new DatabaseManager(config, { name, observer });
database.start();
await database.ping();

const secret = "parameter-hunter2";
await database.query`create table account (iban text primary key, balance int)`;
await database.query`insert into account values (${secret}, ${42})`;
await database.query({ timeoutMs: 10_000 })`select balance from account where iban = ${secret}`;
await database.transaction(async (tx) => {
  await tx`update account set balance = balance + ${1} where iban = ${secret}`;
  await tx`update account set balance = 1 where iban = ${secret}`;
});
// The messages of these errors repeat the value.
await database.query`select ${secret}::text::int`.catch(() => {});
await database.query`insert into account values (${secret}, ${1})`.catch(() => {});
await database.transaction(() => Promise.reject(new TypeError(secret))).catch(() => {});
