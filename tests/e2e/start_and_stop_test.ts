import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  Health as GrpcHealth,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { untilRunning } from "../support/database_support.ts";
import { getHealth, statusOf } from "../support/health_client.ts";
import { startPostgres } from "../support/postgres.ts";
import { GET_HEALTH, RawSocket } from "../support/raw_socket.ts";
import { scrape } from "../support/scrape.ts";
import {
  databaseEnv,
  launchService,
  ROOT,
  type ServiceUnderTest,
  startService,
} from "../support/service.ts";

const METHOD = "treasury.v1.Health/GetHealth";
const ENDLESS_STATEMENT = join(ROOT, "tests/support/endless_statement.ts");

/** Waits until a call of GetHealth has reached the service and runs. */
async function untilCalled(url: string): Promise<void> {
  const labels = { method: METHOD, protocol: "connect" };
  await eventually(async () => (await scrape(url)).value("rpc_server_active_calls", labels), {
    what: "the call has begun",
  });
}

/** What the service has logged of these events and calls, in its order. */
function toldOf({ logs }: ServiceUnderTest, steps: readonly string[]): string[] {
  return logs.map(({ event, method }) => String(method ?? event))
    .filter((step) => steps.includes(step));
}

Deno.test("without a database to use, the service says what to set and ends", async () => {
  await using service = await launchService();
  assert.equal((await service.exited()).code, 2);
  assert.match(service.stderr, /DATABASE_URL.*DB_HOST.*PGHOST.*deno task dev/s);
});

Deno.test("bad settings are all told at once, and nothing starts", async () => {
  await using service = await launchService({
    env: { DB_HOST: "localhost", DB_PORT: "port", SERVER_PORT: "-1", LOG_LEVEL: "loud" },
    envFile: "DB_HOTS=typo\n",
  });
  assert.equal((await service.exited()).code, 2);
  for (const setting of ["DB_PORT", "SERVER_PORT", "LOG_LEVEL", "DB_HOTS"]) {
    assert.ok(service.stderr.includes(setting), setting);
  }
  assert.deepEqual(service.logs, []);
});

Deno.test("a port in use is told with the setting that changes it", async () => {
  await using postgres = await startPostgres();
  await using first = await startService({ env: databaseEnv(postgres) });
  const { port } = new URL(first.url);
  const env = { ...databaseEnv(postgres), SERVER_HOST: "127.0.0.1", SERVER_PORT: port };
  await using second = await launchService({ env });
  assert.equal((await second.exited()).code, 1);
  assert.match(second.output(), /SERVER_PORT/);
});

Deno.test("SIGTERM ends streams, closes every connection and exits with 0", async () => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  await service.logged("database.connected");
  const client = createClient(Health, createGrpcTransport({ baseUrl: service.url }));
  const stream = client.watchHealth({})[Symbol.asyncIterator]();
  await stream.next();

  const ended = (async () => {
    while (!(await stream.next()).done);
  })();
  const status = service.stop();
  await assert.rejects(ended, (error) => ConnectError.from(error).code === Code.Unavailable);
  assert.equal((await status).code, 0);
  assert.equal(await postgres.sessions(), 0);
});

Deno.test("a stopping service is not ready, finishes what runs, and ends the database last", async () => {
  await using postgres = await startPostgres();
  const env = { ...databaseEnv(postgres), DB_PING_TIMEOUT: "600", LOG_LEVEL: "debug" };
  await using service = await startService({ env });
  await service.logged("database.connected");
  await eventually(async () => await statusOf(`${service.url}/readyz`) === 200);
  await postgres.freeze();
  const port = Number(new URL(service.url).port);
  await using client = await RawSocket.connect(port);
  client.write(GET_HEALTH);
  await untilCalled(service.url);

  const statuses: ServingStatus[] = [];
  const health = createClient(GrpcHealth, createGrpcTransport({ baseUrl: service.url }));
  const watched = assert.rejects(async () => {
    for await (const { status } of health.watch({ service: "readiness" })) statuses.push(status);
  }, (error) => error instanceof ConnectError && error.code === Code.Unavailable);
  await eventually(() => statuses.length > 0, { what: "readiness is watched" });

  service.kill("SIGTERM");
  await service.logged("service.stopping");
  await watched;
  assert.equal(statuses.at(-1), ServingStatus.NOT_SERVING);
  await eventually(async () => {
    await assert.rejects(async () => {
      await using _late = await RawSocket.connect(port);
    }, { code: "ECONNREFUSED" });
    return true;
  }, { what: "the port refuses" });

  await postgres.resume();
  const answer = await client.readResponse();
  assert.equal(answer.status, 200);
  assert.equal(answer.header.get("connection"), "close");
  assert.equal(JSON.parse(answer.body).message, "Service is shutting down");
  assert.equal((await service.exited()).code, 0);
  const steps = [
    "service.stopping",
    `/${METHOD}`,
    "service.stopped",
    "health.stopped",
    "database.closed",
  ];
  assert.deepEqual(toldOf(service, steps), steps);
  assert.equal(await postgres.sessions(), 0);
});

Deno.test("what hangs is cut off after SHUTDOWN_TIMEOUT: a call, and a statement that has no end", async () => {
  await using postgres = await startPostgres();
  const env = { ...databaseEnv(postgres), DB_PING_TIMEOUT: "600", SHUTDOWN_TIMEOUT: "1" };
  await using service = await startService({ env, preload: ENDLESS_STATEMENT });
  await service.logged("database.connected");
  await untilRunning(postgres, "pg_sleep");
  await eventually(async () => await statusOf(`${service.url}/readyz`) === 200);
  await postgres.freeze();
  const call = getHealth(service.url).catch(() => "cut");
  await untilCalled(service.url);

  service.kill("SIGTERM");
  let status: Deno.CommandStatus | undefined;
  void service.exited().then((exited) => status = exited);
  const { code } = await eventually(() => status, { what: "the service has ended" });
  assert.equal(code, 0);
  assert.equal(await call, "cut");
  const steps = ["service.stopping", "service.stopped", "health.stopped", "database.closed"];
  assert.deepEqual(toldOf(service, steps), steps);
  await postgres.resume();
});

Deno.test("a second signal does not wait for what is still running", async () => {
  await using postgres = await startPostgres();
  const env = { ...databaseEnv(postgres), DB_PING_TIMEOUT: "600" };
  await using service = await startService({ env });
  await service.logged("database.connected");
  await eventually(async () => await statusOf(`${service.url}/readyz`) === 200);
  await postgres.freeze();
  const call = getHealth(service.url).catch(() => "cut");
  await untilCalled(service.url);

  service.kill("SIGTERM");
  await service.logged("service.stopping");
  // Repeats within half a second are taken for the same signal.
  await eventually(() => {
    const isForced = service.logs.some(({ event }) => event === "service.forced");
    if (!isForced) service.kill("SIGTERM");
    return isForced;
  });
  assert.equal((await service.exited()).code, 1);
  assert.equal(await call, "cut");
  await postgres.resume();
});
