import type { Report } from "./config_error.ts";
import type { Place } from "./places.ts";
import { settingNames, settingOf } from "./settings.ts";

const PREFIXES = new Set(settingNames.map(prefixOf));
const FORMER_NAMES = new Set(settingNames.map((name) => settingOf(name).formerName));

/**
 * Reports unknown names in the `.env` file that begin like a setting, which are probably typing
 * errors. It ignores the environment, which contains variables of other software.
 */
export function reportUnknownSettings({ file, variables }: Place, report: Report): void {
  if (file === undefined) return;
  const known: readonly string[] = settingNames;
  for (const name of variables.keys()) {
    if (known.includes(name) || FORMER_NAMES.has(name) || !PREFIXES.has(prefixOf(name))) continue;
    report(name, `is not a setting (in ${file}); did you mean ${nearest(name, known)}?`);
  }
}

function prefixOf(name: string): string {
  return name.slice(0, name.indexOf("_") + 1);
}

function nearest(name: string, candidates: readonly string[]): string {
  const byDistance = candidates.map((candidate) => [distance(name, candidate), candidate] as const);
  return byDistance.reduce((best, next) => next[0] < best[0] ? next : best)[1];
}

/** Levenshtein distance, one row of the table at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= b.length; column++) {
      const replace = row[column - 1]! + (letter === b[column - 1] ? 0 : 1);
      next.push(Math.min(replace, row[column]! + 1, next[column - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
