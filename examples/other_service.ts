/**
 * Parts of this package in another service: a database that is kept connected, and its health. Uses
 * nothing of Deno, so that it runs on Node.js 22 and Bun too.
 *
 * `DATABASE_URL=postgresql://… deno run -A examples/other_service.ts`
 */
import process from "node:process";
import { DatabaseManager } from "@treasury-service/kit/database";
import { HealthRegistry, PostgreSQLChecker, ServiceStatus } from "@treasury-service/kit/health";

await using database = new DatabaseManager(process.env.DATABASE_URL ?? "", {
  name: "ledger",
  applicationName: "ledger-service",
  maxConnections: 4,
  logger: console,
});
database.start();

const [session] = await database.query<{ name: string }>`
  select current_setting('application_name') as name`;
console.log(`session of ${session?.name}`);

const isolation = await database.transaction(async (tx) => {
  const [row] = await tx<{ level: string }>`
    select current_setting('transaction_isolation') as level`;
  return row?.level;
}, { isolation: "repeatable read", readOnly: true });
console.log(`transaction: ${isolation}`);

await using health = new HealthRegistry({ checkers: [new PostgreSQLChecker({ database })] });
const { dependencies } = await health.check();
for (const { name, status } of dependencies) console.log(`${name}: ${ServiceStatus[status]}`);
