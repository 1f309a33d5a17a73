import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runAs, serverAccount } from "../../dev/postgres/account.ts";
import { clusterPaths } from "../../dev/postgres/cluster.ts";
import { sendSignal, serverProcesses, stopServerProcesses } from "../../dev/postgres/processes.ts";
import { EmbeddedServer } from "../../dev/postgres/server.ts";
import { exists } from "../../dev/files.ts";
import { eventually } from "../support/condition.ts";
import { TestDirectory } from "../support/postgres_directory.ts";
import { copyTemplateCluster, SUPERUSER_PASSWORD } from "../support/postgres_template.ts";

async function directoryWithCluster(): Promise<TestDirectory> {
  const directory = await TestDirectory.make();
  await copyTemplateCluster(directory.path);
  return directory;
}

function serverIn({ path, serverName }: TestDirectory): EmbeddedServer {
  return new EmbeddedServer({
    directory: path,
    name: serverName,
    password: SUPERUSER_PASSWORD,
    initdbFlags: ["--no-sync"],
  });
}

/** A process of its own that starts the server and then waits to be killed. */
function spawnOwner({ path, serverName }: TestDirectory): Deno.ChildProcess {
  const options = { directory: path, name: serverName, password: SUPERUSER_PASSWORD };
  const module = new URL("../../dev/postgres/server.ts", import.meta.url).href;
  const script = `
    const { EmbeddedServer } = await import(${JSON.stringify(module)});
    const server = new EmbeddedServer(${JSON.stringify(options)});
    await server.start();
    await Deno.stdout.write(new TextEncoder().encode("started"));
    setInterval(() => {}, 60_000);`;
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

async function untilStarted(owner: Deno.ChildProcess): Promise<void> {
  const reader = owner.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "started");
  await reader.cancel();
}

for (const state of ["running", "frozen"] as const) {
  Deno.test(`a ${state} server whose owner was killed is replaced`, async () => {
    await using directory = await directoryWithCluster();
    await using owner = spawnOwner(directory);
    await untilStarted(owner);
    const [orphan] = await serverProcesses(directory.serverName);
    assert.ok(orphan !== undefined);
    await using server = serverIn(directory);
    await assert.rejects(server.start(), new RegExp(`locked by process ${owner.pid}`));

    owner.kill("SIGKILL");
    await owner.status;
    if (state === "frozen") await stopServerProcesses(directory.serverName);
    await server.start();
    assert.notEqual(server.pid, orphan.pid);
    const pids = (await serverProcesses(directory.serverName)).map(({ pid }) => pid);
    assert.ok(!pids.includes(orphan.pid));
  });
}

Deno.test("a server whose postmaster was killed can be started again", async () => {
  await using directory = await directoryWithCluster();
  await using server = serverIn(directory);
  await server.start();
  const { port } = server.superuser;
  const { exited } = server;
  sendSignal(server.pid!, "SIGKILL");
  await exited;
  assert.equal(server.pid, undefined);
  assert.deepEqual(await serverProcesses(directory.serverName), []);
  await server.start();
  assert.equal(server.superuser.port, port);
});

Deno.test("a stale pid file does not prevent a start, even if another process has that pid", async () => {
  await using directory = await directoryWithCluster();
  await using server = serverIn(directory);
  await server.start();
  const { postmasterPid } = clusterPaths(directory.path);
  const lines = (await Deno.readTextFile(postmasterPid)).split("\n");
  await server.stop();

  // PostgreSQL takes any living process of its own account for a running server.
  const account = await serverAccount();
  await using other = new Deno.Command("sleep", { args: ["60"], ...runAs(account) }).spawn();
  const freePid = "4194304"; // one more than the largest pid of Linux
  for (const pid of [String(other.pid), freePid, "not a number"]) {
    await Deno.writeTextFile(postmasterPid, [pid, ...lines.slice(1)].join("\n"));
    await server.start();
    await server.stop();
  }
});

Deno.test("a cluster that a server of another name runs on is not touched", async () => {
  await using directory = await directoryWithCluster();
  await using server = serverIn(directory);
  await server.start();
  const { postmasterPid, lock } = clusterPaths(directory.path);
  await Deno.remove(lock); // as if the directory had been moved here under a running server
  await using other = new EmbeddedServer({
    directory: directory.path,
    name: `${directory.serverName}-other`,
    password: SUPERUSER_PASSWORD,
  });
  await assert.rejects(other.start(), new RegExp(`Process ${server.pid} seems to be`));
  assert.ok(await exists(postmasterPid));
  assert.deepEqual((await serverProcesses(server.name))[0]?.pid, server.pid);
});

Deno.test("a half-made cluster is thrown away and made again", async () => {
  await using directory = await TestDirectory.make();
  const { data, unfinished } = clusterPaths(directory.path);
  await using owner = spawnOwner(directory);
  await eventually(async () => {
    const [attempt = ""] = await readdir(unfinished);
    return await exists(join(unfinished, attempt, "PG_VERSION"));
  }, { what: "initdb is at work" });
  owner.kill("SIGKILL");
  await Promise.all([owner.status, owner.stdout.cancel()]);
  await using server = serverIn(directory);
  await server.start();
  assert.ok(await exists(data));
  assert.ok(!await exists(unfinished));
});

Deno.test("a cluster of another version or without one is left alone, with a hint", async () => {
  await using directory = await directoryWithCluster();
  const file = join(clusterPaths(directory.path).data, "PG_VERSION");
  await using server = serverIn(directory);
  await Deno.writeTextFile(file, "15\n");
  await assert.rejects(
    server.start(),
    /was created by PostgreSQL 15; this is PostgreSQL 16\. Move/,
  );
  await Deno.remove(file);
  await assert.rejects(server.start(), /has no PG_VERSION file/);
  await Deno.writeTextFile(file, "16\n");
  await server.start();
});
