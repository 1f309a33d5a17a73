import assert from "node:assert/strict";
import net from "node:net";
import postgres from "postgres";
import { findFreePort } from "../../dev/postgres/free_port.ts";
import { eventually } from "../support/condition.ts";
import { type Ending, FaultProxy, type ProxyMode } from "../support/fault_proxy.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

/** The shortest talk with a PostgreSQL: SSLRequest, which this one answers with N. */
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f);
const CANCEL_REQUEST = Uint8Array.of(0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 1);

function connectTo(proxy: FaultProxy): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: proxy.host, port: proxy.port });
}

/** What a read gives: the text, `null` at the end of the connection. */
async function read(connection: Deno.TcpConn): Promise<string | null> {
  const buffer = new Uint8Array(4096);
  const length = await connection.read(buffer);
  return length === null ? null : new TextDecoder().decode(buffer.subarray(0, length));
}

function clientOf(server: TestPostgres, proxy: FaultProxy): postgres.Sql {
  return postgres({ ...server.database, ...proxy.address, max: 1, fetch_types: false });
}

async function ask(connection: Deno.TcpConn): Promise<string | null> {
  await connection.write(SSL_REQUEST);
  return await read(connection);
}

/** Reads to the end, which is a close or a reset as the server had or had not read everything. */
async function untilEnded(connection: Deno.TcpConn): Promise<void> {
  try {
    while (await read(connection) !== null);
  } catch (error) {
    assert.ok(error instanceof Deno.errors.ConnectionReset);
  }
}

/** Whether `promise` is still pending after the network has had the time to prove it wrong. */
async function staysPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const watch = () => void (settled = true);
  promise.then(watch, watch);
  await new Promise((resolve) => setTimeout(resolve, 200));
  return !settled;
}

Deno.test("passes everything, and counts it", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  assert.ok(proxy.port < 32_768, "outside the ephemeral ports");
  const sql = clientOf(server, proxy);
  const [row] = await sql`select length(${
    "x".repeat(300_000)
  }) as sent, repeat('y', 300000) as got`;
  assert.equal(row?.sent, 300_000);
  assert.equal(row?.got, "y".repeat(300_000));
  assert.deepEqual(
    { ...proxy.stats, bytesToServer: 0, bytesToClient: 0 },
    { open: 1, total: 1, bytesToServer: 0, bytesToClient: 0, cancelRequests: 0 },
  );
  assert.ok(proxy.stats.bytesToServer > 300_000);
  assert.ok(proxy.stats.bytesToClient > 300_000);
  await sql.end();
  await eventually(() => proxy.stats.open === 0, { what: "the proxy sees that the client left" });
  await eventually(async () => await server.sessions() === 0, { what: "the session has ended" });
});

Deno.test("counts cancel requests and lets them through", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const sql = clientOf(server, proxy);
  await sql`select 1`;
  const query = sql`select pg_sleep(600)`;
  const failed = assert.rejects(query, { code: "57014" }); // query_canceled
  await eventually(async () => {
    const rows = await server.admin("select from pg_stat_activity where wait_event = 'PgSleep'");
    return rows.length === 1;
  });
  query.cancel();
  await failed;
  assert.equal(proxy.stats.cancelRequests, 1);
  using connection = await connectTo(proxy);
  await connection.write(CANCEL_REQUEST); // of no session
  assert.equal(await read(connection), null);
  assert.equal(proxy.stats.cancelRequests, 2);
  await sql.end();
});

Deno.test("refuses on its port, and serves on the same one again", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  using before = await connectTo(proxy);
  for (let round = 0; round < 20; round++) {
    await proxy.setMode("refuse");
    await assert.rejects(connectTo(proxy), Deno.errors.ConnectionRefused);
    await proxy.setMode("pass");
    using connection = await connectTo(proxy);
    assert.equal(await ask(connection), "N");
  }
  assert.equal(await ask(before), "N", "a connection that was open stays so");
});

Deno.test("accepts and closes", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await proxy.setMode("close");
  using connection = await connectTo(proxy);
  assert.equal(await read(connection), null);
  assert.deepEqual({ total: proxy.stats.total, open: proxy.stats.open }, { total: 1, open: 0 });
});

Deno.test("black hole: accepts, never answers, and forwards nothing", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await proxy.setMode("black-hole");
  const connection = await connectTo(proxy);
  const answer = ask(connection).catch(() => "closed by ourselves");
  assert.ok(await staysPending(answer));
  assert.equal(proxy.stats.bytesToServer, 0);
  await proxy.setMode("pass");
  assert.ok(await staysPending(answer), "what fell into the hole does not come back");
  assert.equal(proxy.stats.open, 1);
  connection.close();
  await answer;
  await eventually(() => proxy.stats.open === 0);
});

Deno.test("silence to the client: the server executes, the answer comes after resume", async () => {
  await using server = await startPostgres();
  await server.admin("create table seen as select 1 as one; grant all on seen to public");
  await using proxy = await FaultProxy.start(server.database);
  const sql = clientOf(server, proxy);
  await sql`select 1`;
  proxy.silence("toClient");
  const inserted = sql`insert into seen values (2)`.simple().execute();
  await eventually(async () => (await server.admin("select from seen")).length === 2);
  assert.ok(await staysPending(inserted));
  proxy.resume();
  assert.equal((await inserted).count, 1);
  await sql.end();
});

Deno.test("silence to the server: it gets the statement after resume", async () => {
  await using server = await startPostgres();
  await server.admin("create table seen as select 1 as one; grant all on seen to public");
  await using proxy = await FaultProxy.start(server.database);
  const sql = clientOf(server, proxy);
  await sql`select 1`;
  proxy.silence("toServer");
  const inserted = sql`insert into seen values (2)`.simple().execute();
  assert.ok(await staysPending(inserted));
  assert.equal((await server.admin("select from seen")).length, 1);
  const other = clientOf(server, proxy);
  assert.equal((await other`select 1 as one`)[0]?.one, 1, "a new connection is not silent");
  proxy.resume();
  await inserted;
  assert.equal((await server.admin("select from seen")).length, 2);
  await Promise.all([sql.end(), other.end()]);
});

Deno.test("in a silent network the server does not notice that the client has disconnected", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: await findFreePort() });
  await using proxy = await FaultProxy.start({ host: "127.0.0.1", port: listener.addr.port });
  for (const ending of ["close", "reset"] satisfies Ending[]) {
    const client = net.connect(proxy.port, proxy.host);
    using server = await listener.accept();
    await eventually(() => proxy.stats.open === 1);
    proxy.silence();
    const end = read(server).catch((error) => error);
    if (ending === "close") client.destroy();
    else client.resetAndDestroy();
    await eventually(() => proxy.stats.open === 0, { what: "the proxy itself sees it" });
    assert.ok(await staysPending(end));
    proxy.resume();
    if (ending === "close") assert.equal(await end, null);
    else assert.ok(await end instanceof Deno.errors.ConnectionReset);
  }
});

Deno.test("ends all connections, with or without a reset", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  for (const mode of ["pass", "black-hole"] satisfies ProxyMode[]) {
    await proxy.setMode(mode);
    using polite = await connectTo(proxy);
    await eventually(() => proxy.stats.open === 1);
    proxy.endAll("close");
    assert.equal(await read(polite), null);
    await eventually(() => proxy.stats.open === 0);
    using connection = await connectTo(proxy);
    await eventually(() => proxy.stats.open === 1);
    proxy.endAll("reset");
    await assert.rejects(read(connection), Deno.errors.ConnectionReset);
    await eventually(() => proxy.stats.open === 0);
  }
});

Deno.test("while the server is down, connections end; then they pass again", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  using open = await connectTo(proxy);
  assert.equal(await ask(open), "N");
  await server.kill();
  await untilEnded(open);
  using early = await connectTo(proxy);
  await untilEnded(early);
  await server.start();
  using late = await connectTo(proxy);
  assert.equal(await ask(late), "N");
});

Deno.test("latency delays both ways, jitter keeps the order", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const sql = clientOf(server, proxy);
  await sql`select 1`;
  proxy.shape({ latencyMs: 50 });
  const start = performance.now();
  await sql`select 1`.simple();
  assert.ok(performance.now() - start >= 98, "a round trip has the latency twice");
  proxy.shape({ latencyMs: 1, jitterMs: 20 });
  const rows = await sql<{ n: number }[]>`select generate_series(1, 50000) as n`;
  assert.ok(rows.every(({ n }, index) => n === index + 1));
  proxy.shape({});
  await sql.end();
});

Deno.test("trickle sends byte by byte", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  proxy.shape({ trickle: true });
  using connection = await connectTo(proxy);
  // A startup message without a user: the answer is an error of more than 50 bytes.
  await connection.write(Uint8Array.of(0, 0, 0, 9, 0, 3, 0, 0, 0));
  const reads: string[] = [];
  for (let text = await read(connection); text !== null; text = await read(connection)) {
    reads.push(text);
  }
  assert.match(reads.join(""), /no PostgreSQL user name specified/);
  assert.ok(reads.length > 25, `in ${reads.length} parts`); // a busy machine may join some
  const sql = clientOf(server, proxy);
  assert.equal((await sql`select repeat('x', 20) as text`)[0]?.text, "x".repeat(20));
  await sql.end();
});

Deno.test("disposing ends silent, slow and swallowed connections", async () => {
  await using server = await startPostgres();
  const proxy = await FaultProxy.start(server.database);
  const silent = clientOf(server, proxy);
  await silent`select 1`;
  proxy.silence();
  proxy.shape({ latencyMs: 600_000 });
  using slow = await connectTo(proxy);
  await slow.write(SSL_REQUEST);
  await eventually(() => proxy.stats.open === 2);
  await proxy.setMode("black-hole");
  using swallowed = await connectTo(proxy);
  await eventually(() => proxy.stats.open === 3);
  await proxy[Symbol.asyncDispose]();
  assert.equal(proxy.stats.open, 0);
  assert.equal(await read(swallowed), null);
  await assert.rejects(connectTo(proxy), Deno.errors.ConnectionRefused);
  await eventually(async () => await server.sessions() === 0);
  await silent.end({ timeout: 0 });
});
