import { administrationSettings } from "./settings/administration.ts";
import { databaseSettings } from "./settings/database.ts";
import { healthSettings } from "./settings/health.ts";
import { loggingSettings } from "./settings/logging.ts";
import { metricsSettings } from "./settings/metrics.ts";
import { poolSettings } from "./settings/pool.ts";
import { serverSettings } from "./settings/server.ts";
import type { Setting } from "./settings/setting.ts";
import type { ValueType } from "./values/value_type.ts";

export type { Setting } from "./settings/setting.ts";

/**
 * The catalog of all settings: names, defaults, units, meanings and allowed values. The loader,
 * `docs/configuration.md` and `.env.example` derive from it.
 */
export const settings = {
  ...databaseSettings,
  ...poolSettings,
  ...healthSettings,
  ...serverSettings,
  ...loggingSettings,
  ...metricsSettings,
  ...administrationSettings,
};

/** The catalog in groups, in the order of the documentation. */
export const settingGroups: readonly SettingGroup[] = [
  { title: "Database", settings: databaseSettings },
  { title: "Connection pool", settings: poolSettings },
  { title: "Health", settings: healthSettings },
  { title: "Server", settings: serverSettings },
  { title: "Logging", settings: loggingSettings },
  { title: "Metrics", settings: metricsSettings },
  { title: "Migration and administration", settings: administrationSettings },
];

/** Settings that the documentation lists under one heading. */
export interface SettingGroup {
  /** The heading. */
  readonly title: string;
  /** By name, in the order of the documentation. */
  readonly settings: Readonly<Record<string, Setting>>;
}

/** The present name of a setting. */
export type SettingName = keyof typeof settings;

/** The parsed value of a setting; `undefined` only if there is no default. */
export type SettingValue<N extends SettingName> = (typeof settings)[N] extends
  { type: ValueType<infer T> } ? (typeof settings)[N] extends { default: string } ? T
  : T | undefined
  : never;

/** The present names of all settings. */
export const settingNames: readonly SettingName[] = Object.keys(settings) as SettingName[];

/** One setting, without the literal types of the catalog. */
export function settingOf(name: SettingName): Setting {
  return settings[name];
}

/** Every environment variable that is read: settings, their former names and their fallbacks. */
export const environmentNames: readonly string[] = settingNames.flatMap((name) => {
  const { fallback, formerName } = settingOf(name);
  return [name, fallback, formerName].filter((variable) => variable !== undefined);
});
