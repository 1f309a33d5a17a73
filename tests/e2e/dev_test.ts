import assert from "node:assert/strict";
import { join } from "node:path";
import postgres from "postgres";
import { listProcesses } from "../../dev/postgres/processes.ts";
import { exists } from "../../dev/files.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { DevProject } from "../support/dev_project.ts";
import { ROOT } from "../support/service.ts";

Deno.test("dev brings up the service with a database and says where everything is", async () => {
  await using project = await DevProject.make();
  await using run = project.run();
  await run.untilOutput(/database log/);
  const { env } = await project.ask();
  assert.equal(env.LOG_FORMAT, "pretty");
  assert.equal(env.SERVER_HOST, "127.0.0.1");
  assert.equal(env.DB_MIGRATE_ON_START, "true");
  const sql = postgres({
    host: env.DB_HOST!,
    port: Number(env.DB_PORT),
    database: env.DB_NAME!,
    user: env.DB_USER!,
    password: env.DB_PASSWORD!,
    max: 1,
  });
  const [row] = await sql`
    select current_user as user, current_database() as database,
      (select rolsuper from pg_roles where rolname = current_user) as superuser`;
  await assert.rejects(sql`create table public.not_allowed ()`, { code: "42501" });
  await sql.end();
  assert.deepEqual(row, { user: "treasury_user", database: "treasury_db", superuser: false });

  const url = `http://localhost:${project.port}`;
  assert.match(run.output, new RegExp(`status page +${url}/\n`));
  assert.match(run.output, new RegExp(`curl +curl -s ${url}/treasury\\.v1\\.Health/GetHealth `));
  assert.match(run.output, new RegExp(`buf curl .*--http2-prior-knowledge ${url}/`));
  assert.match(run.output, new RegExp(`psql -h 127.0.0.1 -p ${env.DB_PORT} -U treasury_user`));
  assert.ok(!run.output.includes(env.DB_PASSWORD!));
  const settingsFile = join(project.root, ".data", "database.env");
  for (const path of [settingsFile, join(project.root, ".data", "pgpass")]) {
    const { mode } = await Deno.stat(path);
    assert.equal(mode! & 0o777, 0o600);
  }
  assert.ok(run.output.includes(`deno task --env-file=${settingsFile} db:status`));
  assert.equal(await exitCodeOfTask(settingsFile, "db:init"), 0);

  run.send("SIGTERM");
  assert.equal(await run.exitCode(), 0);
  assert.match(run.output, /service closed, database there/);
  assert.deepEqual(await processesOf(project), []);
});

Deno.test("a change starts the service again, and a request in flight is answered", async () => {
  await using project = await DevProject.make();
  await using run = project.run();
  await project.untilServing(1);
  await run.untilOutput(/is up/); // the supervisor knows it too, or the next start is its first
  const slow = project.ask("/slow");
  await run.untilOutput(/asked for \/slow/);
  await project.writeVersion(2);
  await project.untilServing(2);
  assert.equal((await slow).version, 1);
  await run.untilOutput(/src\/main\.ts changed.*Serving again/s);

  await project.write(".env", "LOG_FORMAT=json\n");
  await eventually(async () => {
    const { env } = await project.ask();
    return env.LOG_FORMAT !== "pretty"; // the file's value is left for the service to read
  }, { what: "the service has the new .env" });
});

Deno.test("a service that ends is started again after the next change", async () => {
  await using project = await DevProject.make();
  await using run = project.run();
  await project.untilServing(1);
  await project.writeVersion(2, "Deno.exit(1);");
  await run.untilOutput(/The service exited unexpectedly \(exit code 1\)\. Waiting/);
  await project.writeVersion(3, "Deno.exit(2);");
  await run.untilOutput(/The service cannot run with these settings\. Waiting/);
  await project.write("deno.json", "{ half written");
  await run.untilOutput(/JSON/);
  await project.write(
    "deno.json",
    JSON.stringify({ tasks: { start: "deno run --allow-net --allow-env src/main.ts" } }),
  );
  await project.writeVersion(4);
  await project.untilServing(4);
  run.send("SIGINT");
  assert.equal(await run.exitCode(), 0);
});

Deno.test("one Ctrl-C that arrives twice is one; a later one stops without waiting", async () => {
  await using project = await DevProject.make();
  await using run = project.run();
  await project.untilServing(1);
  const slow = project.ask("/slow");
  const forever = project.ask("/forever").then(() => "answered", () => "cut off");
  await run.untilOutput(/asked for \/slow/);
  await run.untilOutput(/asked for \/forever/);
  // deno task and the terminal both send it.
  run.send("SIGINT");
  run.send("SIGINT");
  assert.equal((await slow).version, 1);
  run.send("SIGINT");
  assert.equal(await forever, "cut off");
  assert.equal(await run.exitCode(), 0);
  assert.deepEqual(await processesOf(project), []);
});

Deno.test("a killed supervisor is recovered from: no old service, same database", async () => {
  await using project = await DevProject.make();
  let first: { readonly pid: number; readonly env: Readonly<Record<string, string>> };
  {
    await using run = project.run();
    first = await project.untilServing(1);
    await using second = project.run();
    await second.untilOutput(new RegExp(`locked by process ${run.pid}`));
    assert.equal(await second.exitCode(), 1);
    run.send("SIGKILL");
  }
  assert.ok(await isRunning(first.pid), "the service outlives its supervisor");
  await project.writeVersion(2);
  await using run = project.run();
  const { env } = await project.untilServing(2);
  await run.untilOutput(/Stopped the leftover service of an earlier run/);
  assert.ok(!await isRunning(first.pid));
  assert.equal(env.DB_PORT, first.env.DB_PORT);
  assert.equal(env.DB_PASSWORD, first.env.DB_PASSWORD);
  run.send("SIGTERM");
  assert.equal(await run.exitCode(), 0);
  assert.deepEqual(await processesOf(project), []);
});

Deno.test("a database that dies is started again; the service stays", async () => {
  await using project = await DevProject.make();
  await using run = project.run();
  const before = await project.untilServing(1);
  const pidFile = join(project.root, ".data", "postgres", "data", "postmaster.pid");
  Deno.kill(Number((await Deno.readTextFile(pidFile)).split("\n")[0]), "SIGKILL");
  await run.untilOutput(/PostgreSQL exited unexpectedly/);
  await eventually(async () => {
    const port = Number(before.env.DB_PORT);
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  }, { what: "the database listens again" });
  assert.equal((await project.ask()).pid, before.pid);
});

Deno.test("a port that another program has ends the first start, and says so", async () => {
  await using project = await DevProject.make();
  // It answers as the service does: that must not be taken for the service.
  await using other = Deno.serve(
    { hostname: "127.0.0.1", port: project.port, onListen() {} },
    () => new Response("alive"),
  );
  assert.equal(other.addr.port, project.port);
  await using run = project.run();
  assert.equal(await run.exitCode(), 1);
  assert.match(run.output, /127\.0\.0\.1:\d+ is in use by another program\. Set SERVER_PORT/);
  assert.doesNotMatch(run.output, /is up/);
  assert.deepEqual(await processesOf(project), []);
});

Deno.test("a configured database is used, and none is embedded", async () => {
  await using server = await startPostgres();
  await using project = await DevProject.make();
  const { host, port } = server.database;
  await project.write(".env", `DB_HOST=${host}\nDB_PORT=${port}\n`);
  await using run = project.run();
  const { env } = await project.untilServing(1);
  assert.equal(env.DB_HOST, undefined, "the service reads .env itself");
  assert.equal(env.DB_MIGRATE_ON_START, undefined);
  assert.ok(!await exists(join(project.root, ".data", "postgres")));
  run.send("SIGTERM");
  assert.equal(await run.exitCode(), 0);
});

async function exitCodeOfTask(settingsFile: string, task: string): Promise<number> {
  const { PATH = "", HOME = "" } = Deno.env.toObject();
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["task", `--env-file=${settingsFile}`, task],
    cwd: ROOT,
    clearEnv: true,
    env: { PATH, HOME },
    stdout: "null",
  }).output();
  return code;
}

async function processesOf(project: DevProject): Promise<string[]> {
  const all = await listProcesses();
  return all.map(({ command }) => command).filter((command) => command.includes(project.root));
}

async function isRunning(pid: number): Promise<boolean> {
  return (await listProcesses()).some((one) => one.pid === pid);
}
