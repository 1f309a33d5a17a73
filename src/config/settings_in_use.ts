import { type PlaceOptions, readPlaces } from "./places.ts";
import { settingNames } from "./settings.ts";
import { isConfidential, openSources } from "./sources.ts";

/** A setting that does not have its default. */
export interface SettingInUse {
  /** As it was written; `[redacted]` when it may hold a secret. */
  readonly value: string;
  /** The variable that set it, and the file if it is in one, as in `DATABASE_URL in .env`. */
  readonly from: string;
}

/**
 * Every setting that something sets, and what; for the log. To be asked for settings that
 * `loadConfig` has found to be good.
 */
export function settingsInUse(options: PlaceOptions): Readonly<Record<string, SettingInUse>> {
  const ignore = () => {};
  const sources = openSources(readPlaces(options, ignore), ignore);
  const inUse: Record<string, SettingInUse> = {};
  for (const name of settingNames) {
    const sourced = sources.map((source) => source(name)).find((found) => found !== undefined);
    if (sourced === undefined) continue;
    const { text, variable, place } = sourced;
    inUse[name] = {
      value: isConfidential(name, text) ? "[redacted]" : text,
      from: place.file === undefined ? variable : `${variable} in ${place.file}`,
    };
  }
  return inUse;
}
