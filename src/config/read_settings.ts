import type { Report } from "./config_error.ts";
import { type SettingName, settingNames, settingOf, type SettingValue } from "./settings.ts";
import { parseSetting, type Source } from "./sources.ts";

/** Read elsewhere, because they depend on other settings. */
const entangled = [
  "DATABASE_URL",
  "DB_PASSWORD",
  "DB_PASSWORD_FILE",
  "DB_MIGRATION_PASSWORD",
  "DB_MIGRATION_PASSWORD_FILE",
  "DB_ADMIN_URL",
  "DB_ADMIN_USER",
  "DB_ADMIN_PASSWORD",
  "DB_ADMIN_PASSWORD_FILE",
] as const;

type SingleSetting = Exclude<SettingName, (typeof entangled)[number]>;

/** The parsed values of all settings that do not depend on others. */
export interface ReadSettings {
  readonly values: { readonly [N in SingleSetting]: SettingValue<N> };
  /** Whether the setting was set, rather than left at its default. */
  isSet(name: SingleSetting): boolean;
  /** Whether all of them are valid, so that they can be compared. */
  areSound(...names: SingleSetting[]): boolean;
}

/**
 * Reads every setting from the first source that has it. An invalid setting is reported and gets its
 * default, so that reading continues and finds the next problem.
 */
export function readSettings(sources: readonly Source[], report: Report): ReadSettings {
  const values = new Map<SettingName, unknown>();
  const set = new Set<SettingName>();
  const broken = new Set<SettingName>();

  for (const name of settingNames) {
    if ((entangled as readonly SettingName[]).includes(name)) continue;
    const setting = settingOf(name);
    const sourced = firstOf(sources, name);
    if (sourced !== undefined) set.add(name);
    let value = sourced && parseSetting(name, setting.type, sourced, report);
    if (sourced !== undefined && value === undefined) broken.add(name);
    if (value === undefined && setting.default !== undefined) {
      value = setting.type.schema.parse(setting.default);
    }
    values.set(name, value);
  }

  return {
    values: Object.fromEntries(values) as ReadSettings["values"],
    isSet: (name) => set.has(name),
    areSound: (...names) => !names.some((name) => broken.has(name)),
  };
}

function firstOf(sources: readonly Source[], name: SettingName) {
  for (const source of sources) {
    const sourced = source(name);
    if (sourced !== undefined) return sourced;
  }
}
