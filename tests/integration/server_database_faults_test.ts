import assert from "node:assert/strict";
import type { ConnectRouter } from "@connectrpc/connect";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { startManager, untilRunning, untilState } from "../support/database_support.ts";

/** Names an account whose opening takes a minute. */
const SLOW = "slow";

/** Stands for a service of the treasury: opens the account that `dependency` names. */
function accountRoutes(database: DatabaseManager): (router: ConnectRouter) => void {
  return (router) =>
    router.service(Health, {
      getHealth: async ({ dependency }, { signal }) => {
        const query = database.query({ signal });
        if (dependency === SLOW) await query`select pg_sleep(60)`;
        await query`insert into account (name) values (${dependency})`;
        return {};
      },
    });
}

interface CallOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** What a client of {@linkcode accountRoutes} is told. No error may repeat the account's name. */
async function openAccount(
  { url }: TestServer,
  name: string,
  { signal = new AbortController().signal, timeoutMs }: CallOptions = {},
) {
  const response = await fetch(new URL("/treasury.v1.Health/GetHealth", url), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(timeoutMs !== undefined && { "connect-timeout-ms": String(timeoutMs) }),
    },
    body: JSON.stringify({ dependency: name }),
    signal,
  });
  const text = await response.text();
  assert.ok(name === "" || !text.includes(name), text);
  const { code, details = [] } = JSON.parse(text);
  const [info, retryInfo] = details.map((detail: { debug: unknown }) => detail.debug);
  return {
    status: response.status,
    code,
    reason: info?.reason,
    retryDelay: retryInfo?.retry_delay,
  };
}

async function createAccounts(database: DatabaseManager): Promise<void> {
  await untilState(database, "connected");
  await database.query`create table account (name text primary key check (name <> ''))`;
}

Deno.test("database faults: a full pool is 503, with the time to come back", async () => {
  await using postgres = await startPostgres();
  await using manager = startManager(postgres, { maxConnections: 1, acquireTimeoutMs: 20 });
  await using server = await startServer({}, accountRoutes(manager.database));
  await createAccounts(manager.database);

  const leaving = new AbortController();
  const holder = openAccount(server, SLOW, { signal: leaving.signal });
  await untilRunning(postgres, "pg_sleep(60)");
  assert.deepEqual(await openAccount(server, "rent"), {
    status: 503,
    code: "unavailable",
    reason: "ACQUIRE_TIMEOUT",
    retryDelay: "1s",
  });
  leaving.abort();
  await assert.rejects(holder, { name: "AbortError" });

  await eventually(async () => (await openAccount(server, "rent")).status === 200, {
    what: "the connection is free again",
  });
});

Deno.test("database faults: a broken constraint is answered without the row's data", async () => {
  await using postgres = await startPostgres();
  await using manager = startManager(postgres);
  await using server = await startServer({}, accountRoutes(manager.database));
  await createAccounts(manager.database);

  assert.equal((await openAccount(server, "rent")).status, 200);
  assert.deepEqual(await openAccount(server, "rent"), {
    status: 409,
    code: "already_exists",
    reason: "UNIQUE_VIOLATION",
    retryDelay: undefined,
  });
  assert.deepEqual(await openAccount(server, ""), {
    status: 400,
    code: "failed_precondition",
    reason: "CONSTRAINT_VIOLATION",
    retryDelay: undefined,
  });
  const failures = server.logs.filter(({ event }) => event === "rpc.failed");
  assert.deepEqual(failures.map(({ level }) => level), ["info", "info"]);
  assert.match(JSON.stringify(failures[0]), /account_pkey/);
  assert.match(JSON.stringify(failures[1]), /account_name_check/);
});

Deno.test("database faults: an outage is 503 until the server is back", async () => {
  await using postgres = await startPostgres();
  await using manager = startManager(postgres);
  await using server = await startServer({}, accountRoutes(manager.database));
  await createAccounts(manager.database);

  await postgres.stop();
  // A write on a connection whose end has not been seen yet would be COMMIT_UNKNOWN.
  await untilState(manager.database, "disconnected");
  const { status, code, retryDelay } = await openAccount(server, "rent");
  assert.deepEqual([status, code], [503, "unavailable"]);
  assert.match(retryDelay, /^[\d.]+s$/);
  await postgres.start();
  await eventually(async () => (await openAccount(server, "rent")).status === 200, {
    what: "the database is back",
  });
});

Deno.test("database faults: a read-only database is FAILED_PRECONDITION", async () => {
  await using postgres = await startPostgres();
  await using manager = startManager(postgres);
  await using server = await startServer({}, accountRoutes(manager.database));
  await createAccounts(manager.database);

  await postgres.admin("alter system set default_transaction_read_only = on");
  await postgres.admin("select pg_reload_conf()");
  let number = 0;
  const failed = async () => {
    const told = await openAccount(server, `account ${number++}`);
    return told.status === 200 ? undefined : told;
  };
  assert.deepEqual(await eventually(failed, { what: "writes are refused" }), {
    status: 400,
    code: "failed_precondition",
    reason: "READ_ONLY",
    retryDelay: undefined,
  });
});

Deno.test("database faults: a query that was aborted with its RPC has the RPC's own end", async () => {
  await using postgres = await startPostgres();
  await using manager = startManager(postgres);
  await using server = await startServer({}, accountRoutes(manager.database));
  await createAccounts(manager.database);

  const late = await openAccount(server, SLOW, { timeoutMs: 50 });
  assert.deepEqual([late.status, late.code], [504, "deadline_exceeded"]);

  const leaving = new AbortController();
  const left = openAccount(server, SLOW, { signal: leaving.signal });
  await untilRunning(postgres, "pg_sleep(60)");
  leaving.abort();
  await assert.rejects(left, { name: "AbortError" });
  const ends = () => server.logs.filter(({ event }) => event === "request").map(({ code }) => code);
  await eventually(() => ends().length === 2, { what: "both requests are logged" });
  assert.deepEqual(ends(), ["deadline_exceeded", "canceled"]);
  assert.deepEqual(server.logs.filter(({ event }) => event === "rpc.failed"), []);
});
