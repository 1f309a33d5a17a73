/**
 * The database manager as a library: a transaction that is repeated when it conflicts with another,
 * and a read that is repeated once when its connection is lost, and that goes to a read host while
 * the primary is away, if `DB_READ_HOSTS` names one.
 *
 * `DATABASE_URL=postgresql://… deno run -A examples/database_manager.ts`
 */
import { loadConfig } from "../src/config/mod.ts";
import { DatabaseManager } from "../src/database/mod.ts";

const { database: config } = loadConfig({ env: Deno.env.toObject() });
await using database = new DatabaseManager(config, { logger: console });
database.start();

const balances = await database.transaction(async (tx) => {
  await tx`create temporary table account (id text, cents int) on commit drop`;
  await tx`insert into account values (${"a"}, 60), (${"b"}, 40)`;
  return await tx<{ id: string; cents: number }[]>`select id, cents from account order by id`;
}, { isolation: "serializable", retries: 3, timeoutMs: 5_000 });
console.log(balances.map(({ id, cents }) => `${id}: ${cents}`));

const read = database.query({ access: "read", idempotent: true, timeoutMs: 1_000 });
const [session] = await read<{ user: string }>`select current_user as user`;
console.log(session);
