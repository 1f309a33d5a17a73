import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigSource, loadConfig } from "../src/config/mod.ts";
import { provision } from "../src/commands/db/provision/mod.ts";
import { classify } from "../src/database/mod.ts";
import { isAccessible, serverAccount } from "./postgres/account.ts";
import { type ConnectionInfo, EmbeddedServer } from "./postgres/server.ts";
import { sharedDirectory } from "./postgres/shared_directory.ts";
import { writePrivateFile } from "./files.ts";
import { readOrMakePasswords } from "./passwords.ts";

const SUPERUSER = "postgres";
const USER = "treasury_user";
const MIGRATOR = "treasury_migrator";
const DATABASE = "treasury_db";

/** The embedded database of `deno task dev`; its data is kept between runs. */
export interface DevDatabase extends AsyncDisposable {
  readonly connection: ConnectionInfo;
  /**
   * Settings with which the service connects to it, with the roles that `deno task db:init`
   * creates.
   */
  readonly settings: Readonly<Record<string, string>>;
  /** For PGPASSFILE of psql. */
  readonly passwordFile: string;
  /** For `deno task --env-file`: the settings above, and those of the administrator. */
  readonly settingsFile: string;
  readonly logFile: string;
  /** Resolves when the server has stopped, for any reason. */
  readonly exited: Promise<void>;
}

/**
 * Starts PostgreSQL and creates the roles and the database.
 *
 * @param dataDirectory Directory for all its files.
 * @param schema `DB_SCHEMA`, if it is set.
 * @param say Prints a message for the developer.
 */
export async function startDevDatabase(
  dataDirectory: string,
  schema: string | undefined,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<DevDatabase> {
  const passwordFile = join(dataDirectory, "pgpass");
  const settingsFile = join(dataDirectory, "database.env");
  const logFile = join(dataDirectory, "postgres.log");
  const directory = await serverDirectory(join(dataDirectory, "postgres"), say);
  const passwords = await readOrMakePasswords(passwordFile, {
    superuser: SUPERUSER,
    service: USER,
    migrator: MIGRATOR,
  });
  await using cleanup = new AsyncDisposableStack();
  const log = await Deno.open(logFile, { create: true, write: true, truncate: true });
  cleanup.defer(() => log.close());
  const encoder = new TextEncoder();
  const server = cleanup.use(
    new EmbeddedServer({
      directory,
      password: passwords.superuser,
      onLog: (line) => log.writeSync(encoder.encode(`${line}\n`)),
    }),
  );
  await server.start(signal);
  const { exited } = server;
  const { host, port } = server.superuser;
  const settings = {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: DATABASE,
    DB_USER: USER,
    DB_PASSWORD: passwords.service,
    DB_MIGRATION_USER: MIGRATOR,
    DB_MIGRATION_PASSWORD: passwords.migrator,
    DB_SSL_MODE: "disable", // the packaged PostgreSQL is built without TLS
    ...(schema && { DB_SCHEMA: schema }),
  };
  const allSettings = {
    ...settings,
    DB_ADMIN_USER: SUPERUSER,
    DB_ADMIN_PASSWORD: passwords.superuser,
  };
  const { database: service, roles } = loadConfig({ env: settings });
  const admin = new ConfigSource({ env: allSettings }).loadAdmin();
  await provision({ admin, service, roles, say: () => {}, signal }).catch((error) => {
    if (classify(error).code !== "AUTHENTICATION_FAILED") throw error;
    throw new Error(
      `The superuser password in ${passwordFile} does not match the database in ${directory}. ` +
        `Remove both to start with an empty database.`,
    );
  });
  const lines = Object.entries(allSettings).map(([name, value]) => `${name}='${value}'\n`);
  await writePrivateFile(settingsFile, lines.join(""));
  const owned = cleanup.move();
  return {
    connection: { host, port, user: USER, password: passwords.service, database: DATABASE },
    settings,
    passwordFile,
    settingsFile,
    logFile,
    exited,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Directory for the files of the server: its account cannot enter a checkout in the home of root.
 */
async function serverDirectory(preferred: string, say: (text: string) => void): Promise<string> {
  await mkdir(preferred, { recursive: true });
  const account = await serverAccount();
  if (account === undefined || await isAccessible(preferred, "-x", account)) return preferred;
  const directory = join(await sharedDirectory(preferred), "postgres");
  say(
    `The account ${account.name}, which runs PostgreSQL, cannot access ${dirname(preferred)}: ` +
      `the database is in ${directory}.`,
  );
  return directory;
}
