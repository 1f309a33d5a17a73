import type { Logger, MigrationStatus, VersionStatus } from "../../database/mod.ts";

/** What `deno task migrate help` prints. */
export const HELP = `Usage: deno task migrate <command> [options]

Change the schema
  up [N]        apply the next N migrations; default: all
  down [N]      revert the last N migrations; default: all (or --all), after confirmation
  goto V        apply or revert migrations until the schema has version V

Inspect it
  version       print the version of the schema
  status        print all versions: applied, pending, dirty, missing or out-of-order

Repair it
  force V       set the version to V (-1 for none) and clear the dirty flag, without running scripts
  drop          drop everything in the schema, after confirmation

Write files
  create NAME   create an empty up and down file with the next version

Options
  --dry-run           up, down, goto: print what would run, without changes
  --yes, -y           down, drop: do not ask for confirmation
  --lock-timeout N    wait at most N seconds for a concurrent migration (default: 15)
  --path FOLDER       folder with the migration files (default: that of the service)
  --help, -h          print this help

Exit codes
  0    success, also if there was nothing to do
  1    failure, or not confirmed; "status": the schema is dirty, or there are warnings
  2    wrong arguments or settings; nothing was changed
  130  stopped by a signal; the message says whether the schema is dirty

The database is that of the service: see docs/configuration.md. docs/migrations.md describes
migrations.`;

/** Prints messages as plain text; the service itself logs JSON. */
export const printer: Logger = {
  info: (_, message) => console.log(message),
  warn: (_, message) => console.warn(`Warning: ${message}`),
  error: (_, message) => console.error(message),
};

/** Formats a version as in file names, or returns `no version`. */
export function describeVersion(version: number | undefined): string {
  return version === undefined ? "no version" : String(version).padStart(6, "0");
}

/** A table with a row for each version, then the current version and the warnings. */
export function statusLines({ current, versions, warnings }: MigrationStatus): string[] {
  const rows = [HEADER, ...versions.map(cellsOf)];
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const dirty = current?.dirty === true
    ? " and is dirty: repair it, then run deno task migrate force V"
    : "";
  return [
    ...rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trim()),
    "",
    `The schema has ${describeVersion(current?.version)}${dirty}`,
    ...warnings.map(({ message }) => `Warning: ${message}`),
  ];
}

const HEADER = ["VERSION", "STATE", "APPLIED", "BY", "NAME"];

function cellsOf({ version, state, appliedAt, appliedBy, name }: VersionStatus): string[] {
  const at = appliedAt?.toISOString().replace(/\.\d+/, "") ?? "-";
  return [describeVersion(version), state, at, appliedBy ?? "-", name ?? "-"];
}
