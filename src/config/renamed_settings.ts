import type { Report } from "./config_error.ts";
import type { Place } from "./places.ts";
import { settingNames, settingOf } from "./settings.ts";

/**
 * Looks for former names of settings in one place. Each is a warning; if the setting has another
 * value under its present name in the same place, that is a problem instead.
 */
export function checkRenamed(
  { file, variables }: Place,
  { warn, report }: { readonly warn: (warning: string) => void; readonly report: Report },
): void {
  const where = file === undefined ? "" : ` (in ${file})`;
  for (const name of settingNames) {
    const { formerName } = settingOf(name);
    const former = formerName === undefined ? undefined : variables.get(formerName);
    if (formerName === undefined || former === undefined) continue;
    const present = variables.get(name);
    if (present === undefined || present === former) {
      warn(
        `${formerName} has been renamed to ${name}${where}. The old name still works; rename it.`,
      );
    } else {
      report(
        formerName,
        `has been renamed to ${name}, which is set to another value${where}; remove ${formerName}`,
      );
    }
  }
}
