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
 * The catalog of every setting: the one place that knows names, defaults, units, meanings and
 * allowed values. The loader, `docs/configuration.md` and `.env.example` all come from it.
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

/** The catalog in chapters, in the order of the documentation. */
export const settingGroups: readonly SettingGroup[] = [
  { title: "Database", settings: databaseSettings },
  { title: "Connection pool", settings: poolSettings },
  { title: "Health", settings: healthSettings },
  { title: "Server", settings: serverSettings },
  { title: "Logging", settings: loggingSettings },
  { title: "Metrics", settings: metricsSettings },
  { title: "Migration and administration", settings: administrationSettings },
];

export interface SettingGroup {
  readonly title: string;
  readonly settings: Readonly<Record<string, Setting>>;
}

export type SettingName = keyof typeof settings;

/** The parsed value of a setting; `undefined` only where there is no default. */
export type SettingValue<N extends SettingName> = (typeof settings)[N] extends
  { type: ValueType<infer T> } ? (typeof settings)[N] extends { default: string } ? T
  : T | undefined
  : never;

export const settingNames: readonly SettingName[] = Object.keys(settings) as SettingName[];

/** One setting, without the literal types of the catalog. */
export function settingOf(name: SettingName): Setting {
  return settings[name];
}

/** Every environment variable that is read: the settings, and others' variables for them. */
export const environmentNames: readonly string[] = settingNames.flatMap((name) => {
  const { fallback } = settingOf(name);
  return fallback === undefined ? [name] : [name, fallback];
});
