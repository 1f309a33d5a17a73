import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { exists } from "../../dev/files.ts";
import { serverAccount } from "../../dev/postgres/account.ts";
import { clusterPaths } from "../../dev/postgres/cluster.ts";
import { type ConnectionInfo, EmbeddedServer } from "../../dev/postgres/server.ts";
import { TestDirectory } from "./postgres_directory.ts";
import { makeUser } from "./postgres_user.ts";

/** Change it when the content of the template changes. */
const TEMPLATE_VERSION = "2";

export const SUPERUSER_PASSWORD = "superuser-test-password";
export const DATABASE = {
  user: "treasury_user",
  password: "treasury-test-password",
  database: "treasury_db",
} as const;

/** Test data need not survive a power cut. */
export const TEST_SETTINGS = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  autovacuum: "off",
  shared_buffers: "16MB",
} as const;

/**
 * Puts a fresh, provisioned cluster into `directory`.
 *
 * initdb takes most of a second, a copy a tenth of that, so the first test makes a template under
 * node_modules/.cache and all others copy it. It is a build product like the packages beside it:
 * never run, kept for the next test run, and gone with node_modules.
 */
export async function copyTemplateCluster(directory: string): Promise<void> {
  const template = await ensureTemplate();
  await copy(template, clusterPaths(directory).data);
}

async function ensureTemplate(): Promise<string> {
  const cache = fileURLToPath(
    new URL("../../node_modules/.cache/treasury-postgres", import.meta.url),
  );
  const account = await serverAccount();
  const template = join(cache, `${TEMPLATE_VERSION}-uid-${account?.uid ?? Deno.uid()}`);
  if (await exists(template)) return template;
  await mkdir(cache, { recursive: true });
  await using directory = await TestDirectory.make();
  await makeCluster(directory);
  // Renamed when whole: processes that make it at the same time do the work twice, no harm.
  const partial = await Deno.makeTempDir({ dir: cache, prefix: "partial-" });
  try {
    await copy(clusterPaths(directory.path).data, join(partial, "data"));
    await Deno.rename(join(partial, "data"), template);
  } catch (error) {
    if (!await exists(template)) throw error;
  } finally {
    await Deno.remove(partial, { recursive: true });
  }
  return template;
}

async function makeCluster({ path, serverName }: TestDirectory): Promise<void> {
  await using server = new EmbeddedServer({
    directory: path,
    name: serverName,
    password: SUPERUSER_PASSWORD,
    settings: TEST_SETTINGS,
    initdbFlags: ["--no-sync", "--wal-segsize=1"],
  });
  await server.start();
  await makeUser(server.superuser, DATABASE);
  await dropSpareDatabases({ ...server.superuser, database: DATABASE.database });
  await server.stop();
}

/** Each database is 300 files, and making files is most of the work of a copy. */
async function dropSpareDatabases(superuser: ConnectionInfo): Promise<void> {
  const sql = postgres({ ...superuser, max: 1 });
  await sql`alter database template0 is_template false`;
  for (const name of ["template0", "postgres"]) await sql`drop database ${sql(name)}`;
  await sql.end();
}

async function copy(from: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("cp", { args: ["-a", from, to] }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
