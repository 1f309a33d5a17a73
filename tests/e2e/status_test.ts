import assert from "node:assert/strict";
import denoJson from "../../deno.json" with { type: "json" };
import { claimPort } from "../../dev/postgres/free_port.ts";
import { eventually } from "../support/condition.ts";
import { assertHealthContract } from "../support/health_contract.ts";
import { startPostgres } from "../support/postgres.ts";
import { findProgram, testUnless, whyNoProgram } from "../support/requirement.ts";
import { databaseEnv, ROOT, startService } from "../support/service.ts";

/** As `deno task status` does, with the task's own permissions. */
const ARGUMENTS = denoJson.tasks.status.command.split(" ").slice(1);

const CTRL_C = "\x03";
const ESCAPE = "\x1b[";

/** Runs it to its end. */
async function status(...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...ARGUMENTS, ...args],
    cwd: ROOT,
  }).output();
  const text = new TextDecoder();
  return { code, output: text.decode(stdout) + text.decode(stderr) };
}

/** It as it runs on, and what it has printed. */
class Watching implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  output = "";

  constructor(program: string, args: readonly string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(program, {
      args: [...args],
      cwd: ROOT,
      env,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#read = this.#readAll();
  }

  async prints(what: string, { from = 0 }: { from?: number } = {}): Promise<void> {
    await eventually(() => this.output.indexOf(what, from) >= 0, { what: `it prints ${what}` });
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async type(keys: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(keys));
    writer.releaseLock();
  }

  async exited(): Promise<number> {
    await this.#read;
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended already.
    }
    await this.exited();
    await this.#child.stdin.close().catch(() => {}); // Its reader has gone.
  }

  async #readAll(): Promise<void> {
    const text = this.#child.stdout.pipeThrough(new TextDecoderStream());
    for await (const chunk of text) this.output += chunk;
  }
}

Deno.test("status: tells an outage and its end, also by its exit code", async () => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  const { url } = service;

  const healthy = await status(url);
  assert.match(healthy.output, /● HEALTHY {2}Service is fully operational/);
  assert.match(healthy.output, /postgresql-primary {2}● HEALTHY/);
  assert.ok(
    healthy.output.includes(`postgresql://127.0.0.1:${postgres.database.port}/treasury_db`),
  );
  assert.match(healthy.output, /pool .*\d+ of 25 in use, \d+ idle, 0 waiting/);
  assert.match(healthy.output, /access +READ_WRITE\n {2}circuit +CLOSED\n/);
  assert.match(healthy.output, /checked +\d+ s ago, took \d+ ms/);
  assert.equal(healthy.output.includes(ESCAPE), false, "colors are for terminals");
  assert.equal(healthy.code, 0);

  await postgres.stop();
  const unhealthy = await status(url);
  assert.match(unhealthy.output, /✖ UNHEALTHY.*\n\npostgresql-primary {2}✖ UNHEALTHY.*\([A-Z_]+\)/);
  assert.equal(unhealthy.code, 2);

  await postgres.start();
  await eventually(async () => (await status(url)).code === 0);

  await service.stop();
  const unreachable = await status(url);
  assert.equal(unreachable.output, `✖ UNREACHABLE  ${url}: Connection refused\n`);
  assert.equal(unreachable.code, 3);
});

Deno.test("status: a read-only database is exit code 1", async () => {
  await using postgres = await startPostgres();
  const { user } = postgres.database;
  await postgres.admin(`alter role ${user} set default_transaction_read_only = on`);
  await using service = await startService({ env: databaseEnv(postgres) });
  await service.logged("database.connected");
  const { code, output } = await status(service.url);
  assert.match(output, /▲ DEGRADED/);
  assert.match(output, /access +READ_ONLY/);
  assert.equal(code, 1);
});

Deno.test("status --json: the service's own answer, and what goes for it when there is none", async () => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  const { output } = await status("--json", service.url);
  assertHealthContract(JSON.parse(output));
  await service.stop();
  const { status: told, message } = JSON.parse((await status("--json", service.url)).output);
  assert.deepEqual([told, message], ["UNREACHABLE", "Connection refused"]);
});

Deno.test("status --watch: follows outages of the database and of the service", async () => {
  await using postgres = await startPostgres();
  await using claim = await claimPort();
  const env = { ...databaseEnv(postgres), SERVER_PORT: String(claim.port) };
  await using first = await startService({ env });
  await first.logged("database.connected");
  const { url } = first;
  await using watching = new Watching(Deno.execPath(), [...ARGUMENTS, "--watch", url]);
  await watching.prints("● HEALTHY  Service");

  await postgres.stop();
  await watching.prints("✖ UNHEALTHY  Service");
  let seen = watching.output.length;
  await postgres.start();
  await watching.prints("● HEALTHY  Service", { from: seen });
  assert.match(watching.output, /Recent changes/);

  seen = watching.output.length;
  first.kill("SIGKILL");
  await first.exited();
  await watching.prints(`✖ UNREACHABLE  ${url}`, { from: seen });
  assert.match(watching.output.slice(seen), /STALE: last response \d+ s ago/);
  seen = watching.output.length;
  await using second = await startService({ env });
  assert.equal(second.url, url);
  await watching.prints("● HEALTHY  Service", { from: seen });

  watching.kill("SIGINT");
  assert.equal(await watching.exited(), 130);
});

/** Why a process gets no terminal here; undefined when util-linux's `script` gives it one. */
const noTerminal = Deno.build.os === "linux"
  ? whyNoProgram("script", "bsdutils")
  : "needs Linux, whose script command takes these options";

for (const noColor of [false, true]) {
  testUnless(
    noTerminal,
    `status --watch: draws on a terminal, ${noColor ? "without" : "with"} colors`,
    async () => {
      await using postgres = await startPostgres();
      await using service = await startService({ env: databaseEnv(postgres) });
      const command = [Deno.execPath(), ...ARGUMENTS, "--watch", service.url].join(" ");
      await using watching = new Watching(
        findProgram("script")!,
        ["--quiet", "--flush", "--return", "--command", command, "/dev/null"],
        { NO_COLOR: noColor ? "1" : "" },
      );
      await watching.prints(`${ESCAPE}?1049h`);
      await watching.prints("● HEALTHY");
      await postgres.stop();
      await watching.prints("✖ UNHEALTHY");
      await watching.type(CTRL_C);
      assert.equal(await watching.exited(), 130);
      assert.equal(watching.output.includes(`${ESCAPE}31m`), !noColor);
      assert.match(
        watching.output.split(`${ESCAPE}?1049l`)[1]!,
        /✖ UNHEALTHY/,
        "the last view stays",
      );
    },
  );
}
