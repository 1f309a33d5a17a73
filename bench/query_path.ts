/**
 * Lists the files and functions of `src/` that one warm `database.query` calls: everything above
 * the driver that one has to read to follow a query. V8 counts the calls.
 *
 * `deno task bench:path`, with an embedded PostgreSQL or the one that the environment configures.
 *
 * V8 must not optimize (`--no-opt --no-maglev`, as in the task), because inlined functions are not
 * counted.
 *
 * @module
 */
import { Session } from "node:inspector/promises";
import { setImmediate } from "node:timers/promises";
import { ConfigSource, loadConfig } from "../src/config/mod.ts";
import { DatabaseManager } from "../src/database/mod.ts";
import { startPostgres } from "../tests/support/postgres.ts";
import { databaseEnv } from "../tests/support/service.ts";

/** Warm-up: opens a connection and does everything once. */
const WARM_UP_QUERIES = 200;
/** The smallest measurement counts: during the others, a timer has fired. */
const ROUNDS = 5;
/** V8's name of the function that initializes the fields of an object: part of the constructor. */
const FIELDS = "<instance_members_initializer>";
const SOURCE = new URL("../src/", import.meta.url).href;

/** A file of `src/`, with the number of calls of each function. */
interface CalledFile {
  /** Path from the root of the project. */
  readonly path: string;
  readonly functions: readonly { readonly name: string; readonly calls: number }[];
}

/** Counts the calls of all functions in this isolate. */
class CallCounter implements Disposable {
  readonly #session = new Session();

  static async start(): Promise<CallCounter> {
    const counter = new CallCounter();
    const session = counter.#session;
    session.connect();
    await session.post("Debugger.enable");
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return counter;
  }

  /** Calls in `src/` since the last time. Getters and constructors are functions. */
  async take(): Promise<CalledFile[]> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    const files: CalledFile[] = [];
    for (const { url, scriptId, functions } of result) {
      if (!url.startsWith(SOURCE)) continue;
      const { scriptSource } = await this.#session.post("Debugger.getScriptSource", { scriptId });
      const called = functions.flatMap(({ functionName, ranges: [range] }) => {
        if (!range?.count || functionName === FIELDS) return [];
        const source = scriptSource.slice(range.startOffset, range.endOffset);
        return [{ name: functionName || beginningOf(source), calls: range.count }];
      });
      const path = `src/${url.slice(SOURCE.length)}`;
      if (called.length > 0) files.push({ path, functions: called });
    }
    return files.toSorted((a, b) => a.path < b.path ? -1 : 1);
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }
}

/** The first line of an anonymous function. */
function beginningOf(source: string): string {
  const [line = ""] = source.split("\n", 1);
  return line.length <= 80 ? line : `${line.slice(0, 79)}…`;
}

async function measure(database: DatabaseManager): Promise<readonly CalledFile[]> {
  using counter = await CallCounter.start();
  const query = () => database.query`select ${1}::int as one`;
  for (let count = 0; count < WARM_UP_QUERIES; count++) await query();
  const rounds: CalledFile[][] = [];
  while (rounds.length < ROUNDS) {
    await setImmediate();
    await counter.take();
    await query();
    // Deferred work of the query belongs to it.
    await setImmediate();
    rounds.push(await counter.take());
  }
  return rounds.reduce((a, b) => countFunctions(a) <= countFunctions(b) ? a : b);
}

function countFunctions(files: readonly CalledFile[]): number {
  return files.reduce((count, { functions }) => count + functions.length, 0);
}

const given = Deno.env.toObject();
const isGiven = new ConfigSource({ env: given }).isDatabaseConfigured();
await using server = isGiven ? undefined : await startPostgres();
const { database: config } = loadConfig({ env: server ? databaseEnv(server) : given });
await using database = new DatabaseManager(config);
database.start();
// Queries fail until the first check of the server has ended.
await database.ping();
const files = await measure(database);
for (const { path, functions } of files) {
  console.log(path);
  for (const { name, calls } of functions) console.log(`${String(calls).padStart(5)} × ${name}`);
}
console.log(
  `One query above the driver: ${files.length} files, ${countFunctions(files)} functions`,
);
