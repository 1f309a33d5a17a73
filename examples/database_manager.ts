/**
 * The database manager as a library: a transaction that is retried after a conflict with another
 * one, and a read that is retried once if its connection is lost, and that uses a read host while
 * the primary is unavailable, if `DB_READ_HOSTS` is set.
 *
 * While `deno task dev` runs:
 * `deno run -A --env-file=.data/database.env examples/database_manager.ts`. With any other
 * database: `DATABASE_URL=postgresql://… deno run -A examples/database_manager.ts`.
 */
import { loadConfig } from "@treasury-service/kit/config";
import { DatabaseManager } from "@treasury-service/kit/database";

const { database: config } = loadConfig({ env: Deno.env.toObject() });
await using database = new DatabaseManager(config, { logger: console });
database.start();

const change = await database.transaction(async (tx) => {
  await tx`select set_config('audit.actor', ${"ada"}, true)`; // for the audit log; ends with it
  const [row] = await tx<{ actor: string; isolation: string }>`
    select current_setting('audit.actor') as actor,
      current_setting('transaction_isolation') as isolation`;
  return row;
}, { isolation: "serializable", retries: 3, timeoutMs: 5_000 });
console.log(change);

const read = database.query({ access: "read", idempotent: true, timeoutMs: 1_000 });
const [session] = await read<{ user: string }>`select current_user as user`;
console.log(session);
