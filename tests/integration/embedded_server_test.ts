import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import pg from "pg";
import postgres from "postgres";
import { findFreePort, PortClaim } from "../../dev/postgres/free_port.ts";
import { serverProcesses } from "../../dev/postgres/processes.ts";
import { EmbeddedServer } from "../../dev/postgres/server.ts";
import { eventually } from "../support/condition.ts";
import { startEmbeddedPostgres } from "../support/postgres.ts";
import { TestDirectory } from "../support/postgres_directory.ts";

/** A server on a cluster of its own, for what the template of startEmbeddedPostgres would hide. */
function serverIn(directory: TestDirectory, options: { password?: string; port?: number } = {}) {
  return new EmbeddedServer({
    directory: directory.path,
    name: directory.serverName,
    password: "superuser-test-password",
    initdbFlags: ["--no-sync"],
    settings: { fsync: "off" },
    ...options,
  });
}

Deno.test("a new server is made, answers, and keeps its data and port over a restart", async () => {
  await using directory = await TestDirectory.make();
  let port: number;
  {
    await using server = serverIn(directory);
    await server.start();
    port = server.superuser.port;
    const sql = postgres({ ...server.superuser, max: 1 });
    await sql`create table kept as select 42 as answer`;
    await sql.end();
    assert.ok(!(await readdir("/tmp")).includes(`.s.PGSQL.${port}`), "no unix socket in /tmp");
  }
  await using again = serverIn(directory);
  await again.start();
  assert.equal(again.superuser.port, port, "the port of the last run is taken again");
  const sql = postgres({ ...again.superuser, max: 1 });
  assert.equal((await sql`select answer from kept`)[0]?.answer, 42);
  await sql.end();
});

Deno.test("the superuser's password is asked for", async () => {
  await using server = await startEmbeddedPostgres();
  const sql = postgres({ ...server.superuser, password: "wrong", max: 1 });
  await assert.rejects(sql`select 1`, { code: "28P01" });
  await sql.end();
});

Deno.test("smart stop waits for a session to end, fast stop ends it", async () => {
  await using server = await startEmbeddedPostgres();
  const sql = postgres({ ...server.database, max: 1 });
  await sql`select 1`;
  let stopped = false;
  const stopping = server.stop("smart").then(() => stopped = true);
  await eventually(
    async () => {
      const late = postgres({ ...server.database, max: 1 });
      const error = await late`select 1`.then(() => undefined, (error) => error);
      await late.end();
      return error?.code === "57P03"; // cannot_connect_now: it is shutting down
    },
    { what: "the server refuses new sessions" },
  );
  assert.equal(stopped, false);
  assert.equal((await sql`select 1 as one`)[0]?.one, 1, "the session goes on");
  await server.stop("fast");
  await stopping;
  assert.equal(server.pid, undefined);
  await sql.end();
});

Deno.test("kill leaves no process and no shared memory, even when backends are busy", async () => {
  await using directory = await TestDirectory.make();
  await using server = serverIn(directory);
  await server.start();
  const lines = (await Deno.readTextFile(`${directory.path}/data/postmaster.pid`)).split("\n");
  const segment = lines[6]!.trim().split(/\s+/)[1]!;
  assert.ok((await sharedMemorySegments()).includes(segment));

  // Not postgres.js: the reset of its socket can come when it does not listen any more.
  const client = new pg.Client(server.superuser);
  client.on("error", () => {});
  await client.connect();
  // Busy in the processor: it does not notice by itself that its postmaster has gone.
  const busy = client.query("do $$ begin loop end loop; end $$").catch((error: unknown) => error);
  await eventually(async () => {
    const processes = await serverProcesses(server.name);
    return processes.some(({ command }) => / DO$/.test(command));
  }, { what: "the backend is busy" });
  await server.kill();

  assert.equal(server.pid, undefined);
  assert.deepEqual(await serverProcesses(server.name), []);
  assert.ok(!(await sharedMemorySegments()).includes(segment));
  assert.ok(await busy instanceof Error);
});

Deno.test("a frozen server keeps its connections and answers after resume", async () => {
  await using server = await startEmbeddedPostgres();
  const sql = postgres({ ...server.database, max: 1 });
  await sql`select 1`;
  await server.freeze();
  let answered = false;
  const answer = sql`select 1`.then(() => answered = true);
  const socket = await Deno.connect({ hostname: "127.0.0.1", port: server.database.port });
  socket.close(); // the kernel accepts, the server does not
  await assertFrozen(server.pid!);
  assert.equal(answered, false);
  await server.resume();
  await answer;
  await sql.end();
});

Deno.test("a frozen server can be disposed of", async () => {
  const server = await startEmbeddedPostgres();
  const pid = server.pid!;
  await server.freeze();
  await server[Symbol.asyncDispose]();
  assert.throws(() => Deno.kill(pid, "SIGCONT"), Deno.errors.NotFound);
});

Deno.test("a start that fails says why, with the server's own words", async () => {
  await using directory = await TestDirectory.make();
  await using server = new EmbeddedServer({
    directory: directory.path,
    name: directory.serverName,
    password: "superuser-test-password",
    initdbFlags: ["--no-sync"],
    settings: { no_such_setting: "1" },
  });
  await assert.rejects(
    server.start(),
    /did not start:.*unrecognized configuration parameter "no_such_setting"/s,
  );
});

Deno.test("a given port that is taken is an error, not another port", async () => {
  await using directory = await TestDirectory.make();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: await findFreePort() });
  const { port } = listener.addr as Deno.NetAddr;
  await using server = serverIn(directory, { port });
  await assert.rejects(server.start(), /Address already in use/);
  assert.deepEqual(await serverProcesses(server.name), []);
});

Deno.test("the port of a stopped server is kept until it is disposed", async () => {
  let port: number;
  {
    await using server = await startEmbeddedPostgres();
    port = server.superuser.port;
    await server.stop();
    await assert.rejects(Deno.connect({ port }), Deno.errors.ConnectionRefused);
    assert.equal(await PortClaim.tryClaim(port), undefined);
  }
  await using claim = await PortClaim.tryClaim(port);
  assert.equal(claim?.port, port);
});

Deno.test("a start can be aborted and leaves no process", async () => {
  await using directory = await TestDirectory.make();
  await using server = serverIn(directory);
  const abort = new AbortController();
  const starting = server.start(abort.signal);
  abort.abort(new Error("changed my mind"));
  await assert.rejects(starting, /changed my mind/);
  assert.deepEqual(await serverProcesses(server.name), []);
  await server.start();
});

Deno.test("six servers start at the same time", async () => {
  await using cleanup = new AsyncDisposableStack();
  const servers = await Promise.all(
    Array.from({ length: 6 }, async () => cleanup.use(await startEmbeddedPostgres())),
  );
  assert.equal(new Set(servers.map(({ database }) => database.port)).size, 6);
  for (const server of servers) {
    assert.deepEqual(await server.admin("select current_setting('port')::int as port"), [
      { port: server.database.port },
    ]);
  }
});

async function sharedMemorySegments(): Promise<string[]> {
  const { stdout } = await new Deno.Command("ipcs", { args: ["-m"] }).output();
  return new TextDecoder().decode(stdout).split(/\s+/);
}

async function assertFrozen(pid: number): Promise<void> {
  if (Deno.build.os !== "linux") return;
  assert.match(await Deno.readTextFile(`/proc/${pid}/status`), /^State:\tT/m);
}
