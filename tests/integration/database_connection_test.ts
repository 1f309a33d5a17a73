import assert from "node:assert/strict";
import { Connection } from "../../src/database/connection/connection.ts";
import { connect, DatabaseError } from "../../src/database/mod.ts";
import { connectSocket } from "../../src/database/connection/socket.ts";
import { startPostgres } from "../support/postgres.ts";
import {
  terminateSessions,
  untilNoSessions,
  untilRunning,
  watchUnhandled,
} from "../support/database_support.ts";

Deno.test("an idle connection notices that its backend was terminated", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using connection = await connect(server.config());
  await terminateSessions(server);
  await connection.whenClosed;

  assert.equal(connection.closed, true);
  const error = await connection.sql`select 1`.catch((error) => error);
  assert.equal((error as { code: string }).code, "CONNECTION_LOST");
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("a statement whose backend is terminated fails, and so does the next one", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using connection = await connect(server.config());
  const running = connection.sql`select pg_sleep(600)`.catch((error) => error);
  await untilRunning(server, "pg_sleep");
  await terminateSessions(server);

  const next = () => connection.sql`select 1`.catch((error) => error);
  for (const outcome of [await running, await next(), await next(), await next()]) {
    assert.equal((outcome as { code: string }).code, "CONNECTION_LOST");
  }
  await untilNoSessions(server);
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("every statement in the driver's queue fails when the connection ends", async (t) => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  const endings = {
    "terminated": () => terminateSessions(server),
    "destroyed": (connection: Connection) => connection.destroy(),
    "closed": (connection: Connection) => connection.close(),
  };
  for (const [name, end] of Object.entries(endings)) {
    await t.step(name, async () => {
      await using connection = await connect(server.config());
      // Parameters make the driver wait for their types, and so queue what follows.
      const statements = [600, 601, 602, 603].map((seconds) =>
        connection.sql`select pg_sleep(${seconds})`.catch((error) => error)
      );
      await untilRunning(server, "pg_sleep");
      await end(connection);
      for (const error of await Promise.all(statements)) {
        assert.equal((error as { code: string }).code, "CONNECTION_LOST");
      }
      await terminateSessions(server);
    });
  }
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("a statement that begins between the socket's error and its close fails", async () => {
  await using server = await startPostgres();
  const { host, port, ...role } = server.database;
  const { signal } = new AbortController();
  const socket = await connectSocket({ host, port }, { keepAliveIdleMs: undefined, signal });
  const session = {
    ...role,
    host,
    port,
    parameters: {},
    prepare: true,
    config: server.config(),
    onNotice: () => {},
    dial: () => Promise.reject(new Error("nothing is cancelled here")),
  };
  await using connection = new Connection(socket, session);
  await connection.startup(signal);

  socket.emit("error", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  const outcome = connection.sql`select pg_sleep(600)`.catch((error) => error);
  await untilRunning(server, "pg_sleep");
  const hadError = true;
  socket.emit("close", hadError);
  assert.equal((await outcome as { code: string }).code, "CONNECTION_LOST");
  socket.destroy();
});

Deno.test("a transaction never continues in another session", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  await connection.sql`create table step (number int)`;
  await connection.sql`begin`;
  await connection.sql`insert into step values (1)`;
  await terminateSessions(server);
  await assert.rejects(connection.sql`insert into step values (2)`);
  await assert.rejects(connection.sql`commit`);

  assert.deepEqual(await server.admin("select * from step"), []);
  await untilNoSessions(server);
});

Deno.test("close leaves no backend", async () => {
  await using server = await startPostgres();
  const connection = await connect(server.config());
  assert.equal(await server.sessions(), 1);
  await connection.close();
  assert.equal(connection.closed, true);
  await untilNoSessions(server);
  await connection.close();
});

Deno.test("close ends in time when the server is frozen, and when a statement runs", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  const [frozen, busy] = [await connect(server.config()), await connect(server.config())];
  const running = busy.sql`select pg_sleep(600)`.catch((error) => error);
  await untilRunning(server, "pg_sleep");
  await server.freeze();
  await Promise.all([frozen.close(), busy.close()]);
  await server.resume();

  assert.equal((await running as { code: string }).code, "CONNECTION_LOST");
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("destroy fails what runs, with its reason, without the server's help", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  const running = connection.sql`select pg_sleep(600)`.catch((error) => error);
  await untilRunning(server, "pg_sleep");
  await server.freeze();
  connection.destroy(new DatabaseError("PING_TIMEOUT"));
  assert.equal((await running as { code: string }).code, "PING_TIMEOUT");
  await server.resume();
});

Deno.test("notices go to the listener, and not to the console", async () => {
  await using server = await startPostgres();
  const notices: string[] = [];
  const onNotice = ({ message }: Readonly<Record<string, string>>) =>
    void notices.push(String(message));
  await using connection = await connect(server.config(), { onNotice });
  await connection.sql`do $$ begin raise notice 'hello'; end $$`;
  assert.deepEqual(notices, ["hello"]);
});

Deno.test("errors of a statement keep their SQLSTATE, and leave the connection usable", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  const error = await connection.sql`select 1/0`.catch((error) => error);
  const { code, sqlState } = error as { code: string; sqlState: string };
  assert.deepEqual({ code, sqlState }, { code: "QUERY_FAILED", sqlState: "22012" });
  assert.deepEqual([...await connection.sql`select 1 as one`], [{ one: 1 }]);
});

Deno.test("a statement's own error is no outage, whatever class the server puts it in", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  const { sql } = connection;
  const statements = [
    ["08P01", "QUERY_FAILED", () => sql`select $1::int + $2::int`],
    ["3D000", "QUERY_FAILED", () => sql`select pg_database_size('missing')`],
    ["42501", "INSUFFICIENT_PRIVILEGE", () => sql`select * from pg_authid`],
  ] as const;
  for (const [sqlState, code, run] of statements) {
    const error = await run().then(() => {}, (error) => error);
    assert.ok(error instanceof DatabaseError, sqlState);
    assert.deepEqual([error.sqlState, error.code], [sqlState, code]);
    assert.equal(error.isOutage, false);
  }
});
