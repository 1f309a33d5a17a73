import { classify, DatabaseError } from "../errors.ts";
import { formatVersion } from "./migration_files.ts";
import type { MigrationStep } from "./plan.ts";

/** `active_sql_transaction`, PostgreSQL appendix A. */
const IN_TRANSACTION = "25001";

/** How far a step had come. */
export type StepPhase = "running" | "recording";

/**
 * The error of a step that has begun, so that the schema is marked dirty: names the file, the line
 * if the server says where, and the SQLSTATE.
 */
export function stepFailure(step: MigrationStep, phase: StepPhase, error: unknown): DatabaseError {
  const { code, message, sqlState } = classify(error);
  const { file } = step.script;
  const what = phase === "recording"
    ? `${file} has run, but that could not be recorded: ${message}`
    : code === "ABORTED"
    ? `${file} was interrupted: ${message}`
    : `${place(step, error)} failed: ${message}${hint(sqlState)}`;
  return new DatabaseError(code === "ABORTED" ? code : "MIGRATION_FAILED", {
    message: `${what}. The schema is marked dirty at ${describeTarget(step)}`,
    sqlState,
    cause: error,
  });
}

/**
 * Line and column of a position in a text, both from 1.
 *
 * @param position As PostgreSQL gives it: characters, not bytes or UTF-16 units, from 1.
 */
export function locate(text: string, position: number): { line: number; column: number } {
  const lines = [...text].slice(0, position - 1).join("").split("\n");
  return { line: lines.length, column: [...lines.at(-1)!].length + 1 };
}

function place({ script: { file, text } }: MigrationStep, error: unknown): string {
  const position = positionOf(error);
  if (position === undefined) return file;
  const { line, column } = locate(text, position);
  return `${file}, line ${line}, column ${column},`;
}

function positionOf(error: unknown): number | undefined {
  const cause: unknown = error instanceof DatabaseError ? error.cause : undefined;
  const position: unknown = cause instanceof Error ? Reflect.get(cause, "position") : undefined;
  return position === undefined ? undefined : Number(position);
}

function hint(sqlState: string | undefined): string {
  if (sqlState !== IN_TRANSACTION) return "";
  return ". Several statements in one file are one transaction: give this one a file of its own";
}

function describeTarget({ target }: MigrationStep): string {
  return target === undefined ? "no version" : `version ${formatVersion(target)}`;
}
