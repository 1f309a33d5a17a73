import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isAccessible, serverAccount } from "./postgres/account.ts";
import { provision } from "./postgres/provision.ts";
import { type ConnectionInfo, EmbeddedServer } from "./postgres/server.ts";
import { sharedDirectory } from "./postgres/shared_directory.ts";
import { readOrMakePasswords } from "./passwords.ts";

const USER = "treasury_user";
const DATABASE = "treasury_db";
const WRONG_PASSWORD = "28P01"; // invalid_password, PostgreSQL appendix A

/** The database of `deno task dev` when none is configured: kept between runs. */
export interface DevDatabase extends AsyncDisposable {
  readonly connection: ConnectionInfo;
  /** For psql's PGPASSFILE. */
  readonly passwordFile: string;
  readonly logFile: string;
  /** Resolves when the server has ended, for whatever reason. */
  readonly exited: Promise<void>;
}

/**
 * Starts PostgreSQL and makes the role and the database.
 *
 * @param dataDirectory Where everything of it is kept.
 * @param say Tells the developer something.
 */
export async function startDevDatabase(
  dataDirectory: string,
  say: (text: string) => void,
  signal: AbortSignal,
): Promise<DevDatabase> {
  const passwordFile = join(dataDirectory, "pgpass");
  const logFile = join(dataDirectory, "postgres.log");
  const directory = await serverDirectory(join(dataDirectory, "postgres"), say);
  const passwords = await readOrMakePasswords(passwordFile, {
    superuser: "postgres",
    service: USER,
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
  const connection = await provision(server.superuser, {
    user: USER,
    password: passwords.service,
    database: DATABASE,
  }).catch((error) => {
    if (error.code !== WRONG_PASSWORD) throw error;
    throw new Error(
      `The superuser's password in ${passwordFile} is not the one of the database in ` +
        `${directory}. Remove both to start with an empty database.`,
    );
  });
  const owned = cleanup.move();
  return {
    connection,
    passwordFile,
    logFile,
    exited,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Where the server's files can be: a checkout in root's home is closed to its account. */
async function serverDirectory(preferred: string, say: (text: string) => void): Promise<string> {
  await mkdir(preferred, { recursive: true });
  const account = await serverAccount();
  if (account === undefined || await isAccessible(preferred, "-x", account)) return preferred;
  const directory = join(await sharedDirectory(preferred), "postgres");
  say(
    `The account ${account.name}, which PostgreSQL runs as, cannot enter ${dirname(preferred)}: ` +
      `the database is in ${directory}.`,
  );
  return directory;
}
