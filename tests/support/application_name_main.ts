/**
 * Connects as a process of its own, whose variables no other test sees, and prints the session's
 * application name. The argument is the environment to read the configuration from, in JSON.
 *
 * @module
 */
import { loadConfig } from "../../src/config/mod.ts";
import { connect } from "../../src/database/mod.ts";

const { database } = loadConfig({ env: JSON.parse(Deno.args[0] ?? "{}") });
await using connection = await connect(database);
const [row] = await connection.sql<{ name: string }>`
  select current_setting('application_name') as name
`;
await Deno.stdout.write(new TextEncoder().encode(row!.name));
