import type { DatabaseConfig } from "../../config/mod.ts";
import { classify, DatabaseError } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import {
  checksumOf,
  formatVersion,
  type Migration,
  OWN_MIGRATIONS,
  readMigrations,
} from "./files.ts";
import { type MigrationStep, type Plan, planDown, planGoto, planUp } from "./plan.ts";
import { type MigrationOptions, type MigrationSession, withLock, withSession } from "./session.ts";
import { findWarnings } from "./status.ts";
import { reconcile, requireClean } from "./tables.ts";

/** What {@linkcode migrateUp}, {@linkcode migrateDown} and {@linkcode migrateTo} take. */
export interface MigrateOptions extends MigrationOptions {
  /** Only logs what would run: nothing is locked or changed. Default: false. */
  readonly dryRun?: boolean | undefined;
}

/** What has run, or would run in a dry run. */
export interface MigrationResult {
  /** Version of the schema afterwards; undefined when no migration is applied. */
  readonly version: number | undefined;
  /** Versions whose up scripts ran, in order. */
  readonly applied: readonly number[];
  /** Versions whose down scripts ran, in order. */
  readonly reverted: readonly number[];
}

/**
 * Applies the migrations that are newer than the schema, each as one script, on a connection of its
 * own. Processes that migrate at the same time wait for each other, also when one of them is
 * golang-migrate.
 *
 * @param options `limit` is how many to apply at most; default: all.
 * @throws {DatabaseError} `MIGRATION_DIRTY` when an earlier migration did not finish;
 * `MIGRATION_FAILED` when a file is missing, or when a script fails, which leaves the schema dirty;
 * `MIGRATION_LOCKED` when another process migrates for longer than `lockTimeoutMs`; `ABORTED`,
 * which leaves the schema dirty if a script was running; `POOLER_MISMATCH`; or a connect error.
 */
export function migrateUp(
  config: DatabaseConfig,
  options: MigrateOptions & { readonly limit?: number | undefined } = {},
): Promise<MigrationResult> {
  return migrate(config, planUp(options.limit), options);
}

/**
 * Reverts the last migrations.
 *
 * @param limit How many at most; `Infinity` for all.
 * @throws {DatabaseError} As {@linkcode migrateUp}.
 */
export function migrateDown(
  config: DatabaseConfig,
  limit: number,
  options: MigrateOptions = {},
): Promise<MigrationResult> {
  return migrate(config, planDown(limit), options);
}

/**
 * Applies or reverts migrations until the schema has this version.
 *
 * @throws {DatabaseError} As {@linkcode migrateUp}.
 */
export function migrateTo(
  config: DatabaseConfig,
  version: number,
  options: MigrateOptions = {},
): Promise<MigrationResult> {
  return migrate(config, planGoto(version), options);
}

async function migrate(
  config: DatabaseConfig,
  plan: Plan,
  options: MigrateOptions,
): Promise<MigrationResult> {
  const { directory = OWN_MIGRATIONS, dryRun = false, logger = silentLogger } = options;
  const run = new MigrationRun(await readMigrations(directory), plan, logger);
  try {
    return dryRun
      ? await withSession(config, options.signal, (session) => run.dryRun(session))
      : await withLock(config, options, (session) => run.perform(session));
  } catch (error) {
    // Explained here: an abort rejects with the signal's reason, whatever the run would throw.
    throw run.explain(error);
  }
}

/** One run: checks the schema, plans the steps, and runs them one after the other. */
class MigrationRun {
  readonly #migrations: readonly Migration[];
  readonly #plan: Plan;
  readonly #logger: Logger;
  /** The step that has marked the schema dirty. */
  #current: { readonly step: MigrationStep; readonly phase: "running" | "recording" } | undefined;

  constructor(migrations: readonly Migration[], plan: Plan, logger: Logger) {
    this.#migrations = migrations;
    this.#plan = plan;
    this.#logger = logger;
  }

  /** Logs what would run. */
  async dryRun(session: MigrationSession): Promise<MigrationResult> {
    const { version, steps } = await this.#planSteps(session);
    for (const { script: { file }, version, direction } of steps) {
      const fields = { event: "migration.planned", version, direction };
      this.#logger.info(fields, `Would run ${file}`);
    }
    return resultOf(version, steps);
  }

  /** Runs the steps, while the session holds the lock. */
  async perform(session: MigrationSession): Promise<MigrationResult> {
    const { version, applied, steps } = await this.#planSteps(session);
    await session.transaction(async () => {
      await session.historyTable.removeAfter(version);
      await session.historyTable.addMissing(applied);
    });
    for (const [index, step] of steps.entries()) {
      const { version, direction, script: { file } } = step;
      const begun = { event: "migration.begun", version, direction };
      this.#logger.info(begun, `Running ${file} (${index + 1} of ${steps.length})`);
      const startedAt = performance.now();
      await this.#runStep(session, step);
      const durationMs = Math.round(performance.now() - startedAt);
      const { named, verb } = DONE[direction];
      const fields = { ...named, version, duration_ms: durationMs };
      this.#logger.info(fields, `${verb} ${file} in ${durationMs} ms`);
    }
    return resultOf(version, steps);
  }

  async #planSteps({ versionTable, historyTable }: MigrationSession) {
    const current = await versionTable.read();
    requireClean(current);
    const version = current?.version;
    const applied = reconcile(await historyTable.read(), version, this.#migrations);
    for (const { kind, version: at, message } of findWarnings(this.#migrations, version, applied)) {
      this.#logger.warn({ event: "migration.warning", kind, version: at }, message);
    }
    return { version, applied, steps: this.#plan(version, this.#migrations) };
  }

  /** Dirty before the script and clean after it, so that no interruption goes unnoticed. */
  async #runStep(session: MigrationSession, step: MigrationStep): Promise<void> {
    const { version, direction, script, target } = step;
    await session.transaction(() => session.versionTable.write({ version: target, dirty: true }));
    this.#current = { step, phase: "running" };
    await session.script(script.text);
    await session.reset();
    this.#current = { step, phase: "recording" };
    await session.transaction(async () => {
      await session.versionTable.write({ version: target, dirty: false });
      await session.historyTable.removeAfter(target);
      if (direction === "up") {
        await session.historyTable.add({ version, checksum: checksumOf(script) });
      }
    });
    this.#current = undefined;
  }

  /** The error to throw: when it has left the schema dirty, it says so. */
  explain(error: unknown): unknown {
    if (this.#current === undefined) return error;
    const { step, phase } = this.#current;
    const { code, message, sqlState } = classify(error);
    const { script: { file }, target } = step;
    const what = phase === "recording"
      ? `${file} has run, but the new version could not be recorded: ${message}`
      : code === "ABORTED"
      ? `${file} was interrupted: ${message}`
      : `${placeOf(error, step)} failed: ${message}${hint(sqlState)}`;
    const at = target === undefined ? "no version" : `version ${formatVersion(target)}`;
    const advice = phase === "recording"
      ? `run: deno task migrate force ${target ?? -1}`
      : "undo or complete the script by hand, then run: deno task migrate force V";
    return new DatabaseError(code === "ABORTED" ? code : "MIGRATION_FAILED", {
      message: `${what}. The schema is now dirty at ${at}: ${advice}`,
      sqlState,
      cause: error,
    });
  }
}

const DONE = {
  up: { named: { event: "migration.applied" }, verb: "Applied" },
  down: { named: { event: "migration.reverted" }, verb: "Reverted" },
} as const;

function resultOf(version: number | undefined, steps: readonly MigrationStep[]): MigrationResult {
  const last = steps.at(-1);
  const versions = (direction: MigrationStep["direction"]) =>
    steps.filter((step) => step.direction === direction).map(({ version }) => version);
  return {
    version: last === undefined ? version : last.target,
    applied: versions("up"),
    reverted: versions("down"),
  };
}

/** The file, and the line and column where the server names a position in it. */
function placeOf(error: unknown, { script: { file, text } }: MigrationStep): string {
  const cause: unknown = error instanceof DatabaseError ? error.cause : undefined;
  const position: unknown = cause instanceof Error ? Reflect.get(cause, "position") : undefined;
  if (position === undefined) return file;
  const { line, column } = locate(text, Number(position));
  return `${file}, line ${line}, column ${column},`;
}

/**
 * Line and column of a position in a text, both counted from 1.
 *
 * @param position As PostgreSQL gives it: from 1, in characters, not bytes or UTF-16 units.
 */
export function locate(text: string, position: number): { line: number; column: number } {
  const lines = [...text].slice(0, position - 1).join("").split("\n");
  return { line: lines.length, column: [...lines.at(-1)!].length + 1 };
}

/** `active_sql_transaction`, PostgreSQL appendix A. */
const IN_TRANSACTION = "25001";

function hint(sqlState: string | undefined): string {
  if (sqlState !== IN_TRANSACTION) return "";
  return ". The statements of one file are one transaction: move this one to a file of its own";
}
