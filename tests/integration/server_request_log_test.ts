import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { firstOf, nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer, type TestServer } from "../support/server.ts";

const GET_HEALTH = "/treasury.v1.Health/GetHealth";
const WATCH_HEALTH = "/treasury.v1.Health/WatchHealth";

for (const wire of WIRES.filter(({ useBinaryFormat }) => useBinaryFormat)) {
  Deno.test(`request log: ${nameOf(wire)}: one record for a call, an error and a stream`, async () => {
    await using server = await startServer({}, (router) =>
      router.service(Health, {
        getHealth: ({ dependency }) => {
          if (dependency === "") return {};
          throw new ConnectError("no such dependency", Code.NotFound);
        },
        async *watchHealth({ dependency }) {
          yield {};
          if (dependency !== "") throw new ConnectError("shutting down", Code.Unavailable);
        },
      }));
    await using connection = new RpcConnection(server.url, wire);
    const client = connection.client(Health);
    const drain = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    };
    await client.getHealth({});
    await assert.rejects(client.getHealth({ dependency: "x" }));
    await drain(client.watchHealth({}));
    await assert.rejects(drain(client.watchHealth({ dependency: "x" })));

    const records = await recordsOf(server, 4);
    assert.deepEqual(records.map(({ method, code, level }) => [method, code, level]), [
      [GET_HEALTH, "ok", "info"],
      [GET_HEALTH, "not_found", "info"],
      [WATCH_HEALTH, "ok", "info"],
      [WATCH_HEALTH, "unavailable", "warn"],
    ]);
    for (const record of records) {
      assert.equal(record.msg, "request");
      assert.equal(record.protocol, wire.protocol);
      assert.match(String(record.http), new RegExp(`^${wire.httpVersion}`));
      assert.equal(typeof record.status, "number");
      assert.ok(Number(record.duration_ms) > 0);
      assert.match(String(record.peer), /^127\.0\.0\.1:\d+$/);
    }
    assert.equal(records[1]!.status, wire.protocol === "connect" ? 404 : 200);
  });

  Deno.test(`request log: ${nameOf(wire)}: a client that left is "canceled"`, async () => {
    await using server = await startServer();
    await using connection = new RpcConnection(server.url, wire);
    await firstOf((options) => connection.client(Health).watchHealth({}, options));
    const [record] = await recordsOf(server, 1);
    assert.equal(record!.code, "canceled");
    assert.equal(record!.level, "info");
  });

  Deno.test(`request log: ${nameOf(wire)}: unexpected errors are logged and not sent`, async () => {
    const secret = "postgresql://user:hunter2@db.internal/treasury";
    await using server = await startServer({}, (router) =>
      router.service(Health, {
        getHealth: () => {
          throw new Error(`cannot reach ${secret}`);
        },
        // deno-lint-ignore require-yield
        async *watchHealth() {
          throw new TypeError(`cannot watch ${secret}`);
        },
      }));
    await using connection = new RpcConnection(server.url, wire);
    const client = connection.client(Health);
    for (
      const call of [
        () => client.getHealth({}),
        () => firstOf((options) => client.watchHealth({}, options)),
      ]
    ) {
      await assert.rejects(call(), (error: ConnectError) => {
        assert.equal(error.code, Code.Internal);
        assert.equal(error.rawMessage, "internal error");
        return true;
      });
    }
    await recordsOf(server, 2);
    const failures = server.logs.filter(({ event }) => event === "rpc.failed");
    assert.deepEqual(failures.map(({ method }) => method), [GET_HEALTH, WATCH_HEALTH]);
    assert.ok(failures.every(({ level }) => level === "error"));
    assert.match(JSON.stringify(failures[0]), /cannot reach .*@db\.internal/);
    assert.doesNotMatch(JSON.stringify(server.logs), /hunter2/);
  });
}

Deno.test("request log: an error in the middle of a stream hides its text, too", async () => {
  await using server = await startServer({}, (router) =>
    router.service(Health, {
      async *watchHealth() {
        yield {};
        throw new Error("hunter2");
      },
    }));
  await using connection = new RpcConnection(server.url, WIRES[0]);
  let received = 0;
  await assert.rejects(async () => {
    for await (const _ of connection.client(Health).watchHealth({})) received++;
  }, { code: Code.Internal, rawMessage: "internal error" });
  assert.equal(received, 1);
});

Deno.test("request log: probes are logged at debug, plain HTTP by its status", async () => {
  await using server = await startServer();
  for (const path of ["/livez", "/readyz", "/", "/missing?token=hunter2"]) {
    await (await fetch(new URL(path, server.url))).text();
  }
  const records = await recordsOf(server, 4);
  assert.deepEqual(
    records.map(({ method, protocol, status, level }) => [method, protocol, status, level]),
    [
      ["/livez", "http", 200, "debug"],
      ["/readyz", "http", 200, "debug"],
      ["/", "http", 200, "info"],
      ["/missing", "http", 404, "info"],
    ],
  );
  assert.doesNotMatch(JSON.stringify(records), /hunter2/);
});

/** The request records, once there are `count` of them: they are written after the answer. */
async function recordsOf({ logs }: TestServer, count: number) {
  const records = () => logs.filter(({ event }) => event === "request");
  await eventually(() => records().length >= count, { what: `${count} requests are logged` });
  assert.equal(records().length, count);
  return records();
}
