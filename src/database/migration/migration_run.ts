import type { Logger } from "../logger.ts";
import { checksumOf, type Migration } from "./migration_files.ts";
import { reconcile } from "./migration_log.ts";
import { refuseDirty } from "./migration_table.ts";
import type { MigrationStep, Plan } from "./plan.ts";
import type { MigrationSession } from "./session.ts";
import { stepFailure, type StepPhase } from "./step_failure.ts";
import { findSurprises } from "./surprises.ts";

/** What was done, or would be in a dry run. */
export interface MigrationResult {
  /** Of the schema, afterwards; undefined when no migration is applied. */
  readonly version: number | undefined;
  /** Versions whose up scripts ran, in order. */
  readonly applied: readonly number[];
  /** Versions whose down scripts ran, in order. */
  readonly reverted: readonly number[];
}

/** One way through the migrations. */
export class MigrationRun {
  readonly #plan: Plan;
  readonly #migrations: readonly Migration[];
  readonly #logger: Logger;
  #step: { readonly step: MigrationStep; readonly phase: StepPhase } | undefined;

  constructor(plan: Plan, migrations: readonly Migration[], logger: Logger) {
    this.#plan = plan;
    this.#migrations = migrations;
    this.#logger = logger;
  }

  /** Says what would be done. */
  async plan(session: MigrationSession): Promise<MigrationResult> {
    const { version, steps } = await this.#prepare(session);
    for (const { script, version, direction } of steps) {
      this.#logger.info(
        { event: "migration.planned", version, direction },
        `Would run ${script.file}`,
      );
    }
    return resultOf(version, steps);
  }

  async perform(session: MigrationSession): Promise<MigrationResult> {
    const { version, entries, steps } = await this.#prepare(session);
    await session.transaction(async () => {
      await session.log.forgetAfter(version);
      await session.log.adopt(entries);
    });
    for (const [index, step] of steps.entries()) {
      const { version, direction, script: { file } } = step;
      const of = `${index + 1} of ${steps.length}`;
      this.#logger.info(
        { event: "migration.begun", version, direction },
        `Running ${file} (${of})`,
      );
      const startedAt = performance.now();
      await this.#run(session, step);
      const durationMs = Math.round(performance.now() - startedAt);
      const { named, done } = DONE[direction];
      const fields = { ...named, version, duration_ms: durationMs };
      this.#logger.info(fields, `${done} ${file} in ${durationMs} ms`);
    }
    return resultOf(version, steps);
  }

  /** Adds what a failure has left behind. */
  explain(error: unknown): unknown {
    return this.#step === undefined ? error : stepFailure(this.#step.step, this.#step.phase, error);
  }

  async #prepare({ table, log }: MigrationSession) {
    const current = await table.read();
    refuseDirty(current);
    const version = current?.version;
    const entries = reconcile(await log.read(), version, this.#migrations);
    for (
      const { kind, version: at, message } of findSurprises(this.#migrations, version, entries)
    ) {
      this.#logger.warn({ event: "migration.surprise", kind, version: at }, message);
    }
    return { version, entries, steps: this.#plan(version, this.#migrations) };
  }

  async #run(session: MigrationSession, step: MigrationStep): Promise<void> {
    const { version, direction, script, target } = step;
    const { table, log } = session;
    await session.transaction(() => table.write({ version: target, dirty: true }));
    this.#step = { step, phase: "running" };
    await session.run(script.text);
    this.#step = { step, phase: "recording" };
    await session.transaction(async () => {
      await table.write({ version: target, dirty: false });
      await log.forgetAfter(target);
      if (direction === "up") await log.record({ version, checksum: checksumOf(script) });
    });
    this.#step = undefined;
  }
}

const DONE = {
  up: { named: { event: "migration.applied" }, done: "Applied" },
  down: { named: { event: "migration.reverted" }, done: "Reverted" },
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
