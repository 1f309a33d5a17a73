import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Account, runAs, serverAccount } from "../../dev/postgres/account.ts";
import { claimPort } from "../../dev/postgres/free_port.ts";
import type { DatabaseConfig } from "../../src/config/mod.ts";
import { connect } from "../../src/database/mod.ts";
import { eventually } from "./condition.ts";
import { TestDirectory } from "./postgres_directory.ts";

/** Debian's package; the embedded PostgreSQL has no TLS. */
const PROGRAMS = "/usr/lib/postgresql/15/bin";
const CERTIFICATES = fileURLToPath(new URL("./tls/", import.meta.url));

/** Why tests with Debian's PostgreSQL cannot run here; undefined when they can. */
export function whyNoDebianServer(): string | undefined {
  if (existsSync(join(PROGRAMS, "postgres"))) return undefined;
  return `needs PostgreSQL 15 in ${PROGRAMS}, as in Debian's package postgresql-15`;
}

/** Reads a file of tests/support/tls. */
export function certificate(name: string): string {
  return Deno.readTextFileSync(join(CERTIFICATES, name));
}

export interface DebianServerOptions {
  /** Lines of pg_hba.conf. */
  readonly hba: readonly string[];
  /** Statements of the superuser, before the server is a standby. */
  readonly setup?: readonly string[];
  /** Starts as a standby without a primary: read-only, in recovery. */
  readonly standby?: boolean;
}

/** A PostgreSQL 15 with TLS on 127.0.0.1 and 127.0.0.2, whose superuser `postgres` needs no password. */
export class DebianServer implements AsyncDisposable {
  readonly port: number;
  readonly #cleanup: AsyncDisposableStack;

  private constructor(port: number, cleanup: AsyncDisposableStack) {
    this.port = port;
    this.#cleanup = cleanup;
  }

  static async start(
    config: DatabaseConfig,
    { hba, setup = [], standby = false }: DebianServerOptions,
  ): Promise<DebianServer> {
    await using cleanup = new AsyncDisposableStack();
    const directory = cleanup.use(await TestDirectory.make());
    const account = await serverAccount();
    const data = await makeCluster(directory.path, account);
    await Deno.writeTextFile(
      join(data, "pg_hba.conf"),
      ["host all postgres 127.0.0.1/32 trust", ...hba].join("\n") + "\n",
    );
    for (const statement of setup) {
      await run("postgres", ["--single", "-D", data, "postgres"], account, `${statement}\n`);
    }
    if (standby) await Deno.writeTextFile(join(data, "standby.signal"), "");

    const { port } = cleanup.use(await claimPort());
    const settings = {
      // The certificate is not valid for the second one.
      listen_addresses: "127.0.0.1,127.0.0.2",
      port: String(port),
      unix_socket_directories: "",
      cluster_name: directory.serverName,
      fsync: "off",
      ssl: "on",
      ssl_ca_file: join(CERTIFICATES, "ca.pem"),
      ssl_cert_file: join(CERTIFICATES, "server.pem"),
      ssl_key_file: join(directory.path, "server-key.pem"),
    };
    const process = new Deno.Command(join(PROGRAMS, "postgres"), {
      args: ["-D", data, ...Object.entries(settings).flatMap(([k, v]) => ["-c", `${k}=${v}`])],
      stdout: "null",
      stderr: "null",
      ...runAs(account),
    }).spawn();
    cleanup.defer(async () => {
      process.kill("SIGINT");
      await process.status;
    });
    const superuser = {
      ...config,
      hosts: [{ host: "127.0.0.1", port }],
      user: "postgres",
      database: "postgres",
    };
    await eventually(async () => {
      await using connection = await connect(superuser);
      return !connection.closed;
    }, { what: "Debian's PostgreSQL accepts connections" });
    return new DebianServer(port, cleanup.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

async function makeCluster(directory: string, account: Account | undefined): Promise<string> {
  const data = join(directory, "data");
  const key = join(directory, "server-key.pem");
  await Deno.mkdir(data, { mode: 0o700 });
  await Deno.copyFile(join(CERTIFICATES, "server-key.pem"), key);
  await Deno.chmod(key, 0o600);
  if (account !== undefined) {
    await Deno.chown(data, account.uid, account.gid);
    await Deno.chown(key, account.uid, account.gid);
  }
  const flags = ["--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8"];
  await run("initdb", ["-D", data, "--no-sync", ...flags], account);
  return data;
}

async function run(
  program: string,
  args: readonly string[],
  account: Account | undefined,
  input = "",
): Promise<void> {
  const child = new Deno.Command(join(PROGRAMS, program), {
    args: [...args],
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
    ...runAs(account),
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stderr } = await child.output();
  if (!success) throw new Error(`${program} failed:\n${new TextDecoder().decode(stderr)}`);
}
