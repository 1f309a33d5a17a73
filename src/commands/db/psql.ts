/**
 * `deno task db:psql`: starts psql on the configured database. Settings are passed in libpq's
 * environment variables, because every user of the machine can see a command line.
 *
 * @module
 */
import { join } from "node:path";
import { asMigrator, type DatabaseConfig } from "../../config/mod.ts";
import { type CommandContext, EXIT, type ExitCode, runCommand } from "../command.ts";
import { openCommandConfig } from "../command_config.ts";
import { UsageError } from "../usage_error.ts";

const USAGE = `Usage: deno task db:psql [--as-migrator | --as-admin] [-- PSQL_ARGUMENT …]

Starts psql on the configured database, as the service, as DB_MIGRATION_USER, or as the
administrator of db:init.`;

async function psql({ args }: CommandContext): Promise<ExitCode> {
  const separator = args.indexOf("--");
  const [own, psqlArgs] = separator === -1
    ? [args, []]
    : [args.slice(0, separator), args.slice(separator + 1)];
  if (own.length > 1) throw new UsageError(USAGE);
  const config = loginOf(own[0]);
  await using cleanup = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "treasury-psql-" });
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  try {
    const child = new Deno.Command("psql", {
      args: [...psqlArgs],
      clearEnv: true,
      env: { ...inherited(), ...await libpqEnvironment(config, directory) },
    }).spawn();
    // The terminal sends signals to psql as well, which handles Ctrl-C itself.
    return (await child.status).code === 0 ? EXIT.done : EXIT.failed;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error(
      "psql is not installed. It is part of PostgreSQL's client programs: postgresql-client on " +
        "Debian and Ubuntu, libpq in Homebrew; or use docker compose exec postgres psql.",
    );
    return EXIT.failed;
  }
}

function loginOf(who: string | undefined): DatabaseConfig {
  const source = openCommandConfig();
  const { database: service } = source.load();
  switch (who) {
    case undefined:
      return service;
    case "--as-migrator":
      return asMigrator(service);
    case "--as-admin":
      return { ...source.loadAdmin(), database: service.database };
    default:
      throw new UsageError(USAGE);
  }
}

/** The environment without secrets of this project and without other variables of libpq. */
function inherited(): Record<string, string> {
  const isOurs = /^(DB_|DATABASE_URL$|PG(?!PASSFILE$))/;
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !isOurs.test(name)),
  );
}

/** Source: PostgreSQL documentation, "Environment Variables" (34.15). */
async function libpqEnvironment(
  config: DatabaseConfig,
  directory: string,
): Promise<Record<string, string>> {
  const { hosts, tls, password, options } = config;
  const file = async (name: string, content: string | undefined) => {
    if (content === undefined) return undefined;
    const path = join(directory, name);
    await Deno.writeTextFile(path, content, { mode: 0o600 });
    return path;
  };
  const schema = `"${config.schema.replaceAll('"', '""')}"`.replaceAll(/[\\\s]/g, "\\$&");
  const variables = {
    PGHOST: hosts.map(({ host }) => host).join(","),
    PGPORT: hosts.map(({ port }) => port).join(","),
    PGDATABASE: config.database,
    PGUSER: config.user,
    PGPASSWORD: password?.reveal(),
    PGOPTIONS: [options, `-c search_path=${schema}`].filter(Boolean).join(" "),
    PGTARGETSESSIONATTRS: libpqSessionAttrs(config),
    PGCONNECT_TIMEOUT: String(Math.ceil(config.connectTimeoutMs / 1000)),
    PGAPPNAME: "treasury-psql",
    PGSSLMODE: tls.mode,
    // With verify-full and no file, the CAs of the system apply.
    PGSSLROOTCERT: await file("root.pem", tls.rootCert) ??
      (tls.mode === "verify-full" ? "system" : undefined),
    PGSSLCERT: await file("client.pem", tls.cert),
    PGSSLKEY: await file("client-key.pem", tls.key?.reveal()),
  };
  return Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** libpq cannot prefer a writable server; for psql any server is better than none. */
function libpqSessionAttrs({ targetSessionAttrs }: DatabaseConfig): string {
  return targetSessionAttrs === "prefer-read-write" ? "any" : targetSessionAttrs;
}

if (import.meta.main) await runCommand(psql);
