import type { Logger, MigrationStatus, VersionStatus } from "../../database/mod.ts";

/** Lines for people; the service itself logs JSON. */
export const printer: Logger = {
  info: (_, message) => console.log(message),
  warn: (_, message) => console.warn(`Warning: ${message}`),
  error: (_, message) => console.error(message),
};

/** A version as files have it, or how the lack of one is called. */
export function describeVersion(version: number | undefined): string {
  return version === undefined ? "no version" : String(version).padStart(6, "0");
}

/** Every version as a row, and what is wrong below. */
export function statusLines({ current, versions, surprises }: MigrationStatus): string[] {
  const rows = [HEADER, ...versions.map(cellsOf)];
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const dirty = current?.dirty === true ? ", and is dirty: repair it, then use force" : "";
  return [
    ...rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trim()),
    "",
    `The schema has ${describeVersion(current?.version)}${dirty}`,
    ...surprises.map(({ message }) => `Warning: ${message}`),
  ];
}

const HEADER = ["VERSION", "STATE", "APPLIED", "BY", "NAME"];

function cellsOf({ version, state, appliedAt, appliedBy, name }: VersionStatus): string[] {
  const at = appliedAt?.toISOString().replace(/\.\d+/, "") ?? "-";
  return [describeVersion(version), state, at, appliedBy ?? "-", name ?? "-"];
}
