import type { Report } from "./config_error.ts";
import { type SettingName, settingNames, settingOf, type SettingValue } from "./settings.ts";
import { parseSetting, type Source } from "./sources.ts";

/** Read elsewhere: they only make sense together with other settings. */
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

/** Every setting that can be read on its own, parsed. */
export interface ReadSettings {
  readonly values: { readonly [N in SingleSetting]: SettingValue<N> };
  /** Whether something other than the default gave the value. */
  isSet(name: SingleSetting): boolean;
  /** Whether none of them had a problem, so that comparing them makes sense. */
  areSound(...names: SingleSetting[]): boolean;
}

/**
 * Reads every setting from the first source that has it. A setting with a problem is reported and
 * stands at its default, so that reading goes on and finds the next problem.
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
