import assert from "node:assert/strict";
import { eventually } from "../support/condition.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { untilNoSessions } from "../support/database_support.ts";
import { databaseEnv, startService } from "../support/service.ts";
import { type Caller, GrpcCaller, Http1Caller } from "./database/service_callers.ts";

const GET_HEALTH = "/treasury.v1.Health/GetHealth";

const answersTo = (callers: readonly Caller[]) =>
  callers.reduce((sum, { answered }) => sum + answered, 0);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} under load: every accepted request is answered, and nothing is left`, async () => {
    await using server = await startPostgres();
    await using proxy = await FaultProxy.start(server.database);
    // So that checks take a while, and requests are under way at any time.
    proxy.shape({ latencyMs: 20, jitterMs: 20 });
    const env = {
      ...databaseEnv(server),
      DB_HOST: proxy.host,
      DB_PORT: String(proxy.port),
      // Most of those that only ask for the health again are logged at this level.
      LOG_LEVEL: "debug",
    };
    await using service = await startService({ env });
    await service.logged("database.connected");

    const http1 = Array.from({ length: 10 }, () => new Http1Caller());
    const grpc = Array.from({ length: 4 }, () => new GrpcCaller());
    const callers = [...http1, ...grpc];
    const port = Number(new URL(service.url).port);
    const calls = Promise.all(callers.map((caller) => caller.run(port)));
    calls.catch(() => {}); // awaited below
    await eventually(() => callers.every(({ answered }) => answered >= 5), {
      what: "every caller has had answers",
    });

    const before = answersTo(callers);
    service.kill(signal);
    const { code } = await service.exited();
    await calls;
    assert.equal(code, 0, service.output());
    assert.ok(answersTo(callers) > before, "requests were under way");
    assert.equal(service.stderr, "");

    // What the service has read, and what has reached its clients.
    const records = service.logs.filter(({ method }) => method === GET_HEALTH);
    assert.deepEqual(new Set(records.map(({ code }) => code)), new Set(["ok"]));
    const over = (version: string) =>
      records.filter(({ http }) => String(http).startsWith(version)).length;
    assert.equal(answersTo(http1), over("1"), "answers over HTTP/1.1");
    assert.equal(answersTo(grpc), over("2"), "answers over HTTP/2");
    // A connection that was just being opened is dropped, and the server finds that out later.
    await untilNoSessions(server);
  });
}
