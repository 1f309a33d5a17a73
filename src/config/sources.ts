import type { ConnectionParameter } from "./connection_uri.ts";
import type { Report } from "./config_error.ts";
import type { Place } from "./places.ts";
import { type SettingName, settingOf, settings } from "./settings.ts";
import type { ValueType } from "./values/value_type.ts";

/** The text of a setting and where it was found. */
export interface SourcedText {
  readonly text: string;
  /** The variable that was set; not the setting's name for `DATABASE_URL` and `PG*`. */
  readonly variable: string;
  /** Which part of `DATABASE_URL` it is. */
  readonly parameter: ConnectionParameter | undefined;
  readonly place: Place;
}

/** Looks for a setting at one level of precedence. */
export type Source = (name: SettingName) => SourcedText | undefined;

/**
 * The levels of precedence, highest first: in each place the setting itself, then its part of
 * `DATABASE_URL`; after all places, in each place another's variable for it.
 */
export function openSources(places: readonly Place[], report: Report): readonly Source[] {
  return [
    ...places.flatMap((place) => [
      ownVariables(place),
      connectionString(place, "DATABASE_URL", report),
    ]),
    ...places.map(fallbackVariables),
  ];
}

/** What stands for a part of the service's login in another one. */
export type LoginNames = Readonly<
  Record<"DB_USER" | "DB_PASSWORD" | "DB_PASSWORD_FILE", SettingName>
>;

/** The same sources for another login: its parts come from other settings, and there is no more. */
export function loginSources(sources: readonly Source[], names: LoginNames): readonly Source[] {
  return sources.map((source) => (name) =>
    name in names ? source(names[name as keyof LoginNames]) : undefined
  );
}

const ADMIN_LOGIN: LoginNames = {
  DB_USER: "DB_ADMIN_USER",
  DB_PASSWORD: "DB_ADMIN_PASSWORD",
  DB_PASSWORD_FILE: "DB_ADMIN_PASSWORD_FILE",
};

/**
 * The levels of precedence for the administrator, who shares everything with the service but the
 * login and the database.
 */
export function openAdminSources(places: readonly Place[], report: Report): readonly Source[] {
  const ofService = openSources(places, report);
  const isOwn = (name: SettingName) => name in ADMIN_LOGIN || name === "DB_NAME";
  return [
    ...places.flatMap((place) => [
      ...loginSources([ownVariables(place)], ADMIN_LOGIN),
      connectionString(place, "DB_ADMIN_URL", report),
    ]),
    ...ofService.map((source): Source => (name) => isOwn(name) ? undefined : source(name)),
  ];
}

function ownVariables(place: Place): Source {
  return (name) => fromVariable(place, name);
}

function fallbackVariables(place: Place): Source {
  return (name) => fromVariable(place, settingOf(name).fallback);
}

function fromVariable(place: Place, variable: string | undefined): SourcedText | undefined {
  if (variable === undefined) return undefined;
  const text = place.variables.get(variable);
  return text === undefined ? undefined : { text, variable, parameter: undefined, place };
}

function connectionString(
  place: Place,
  variable: "DATABASE_URL" | "DB_ADMIN_URL",
  report: Report,
): Source {
  const uri = fromVariable(place, variable);
  const parameters = uri && parseSetting(variable, settings[variable].type, uri, report);
  return (name) => {
    const { parameter } = settingOf(name);
    const text = parameter && parameters?.get(parameter);
    return text ? { text, variable, parameter, place } : undefined;
  };
}

/** Parses the text of a setting, or reports what is wrong with it and returns `undefined`. */
export function parseSetting<T>(
  name: SettingName,
  type: ValueType<T>,
  sourced: SourcedText,
  report: Report,
): T | undefined {
  const result = type.schema.safeParse(sourced.text);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    report(sourced.variable, `${subject(name, sourced)} ${issue.message}`, allowed(name));
  }
  return undefined;
}

function subject(name: SettingName, { text, parameter, place }: SourcedText): string {
  const where = place.file === undefined ? "" : ` (in ${place.file})`;
  if (parameter !== undefined) return `its ${parameter}${where}`;
  return `${isConfidential(name, text) ? "the value" : JSON.stringify(text)}${where}`;
}

/** Whether the text of a setting must not be shown. */
export function isConfidential(name: SettingName, text: string): boolean {
  // A connection string or a key may have landed in the wrong setting.
  return settingOf(name).confidential === true || text.length > 60 || /[@\n]/.test(text);
}

function allowed(name: SettingName): string {
  const { type, default: fallback } = settingOf(name);
  const unit = type.unit === undefined ? "" : ` ${type.unit}`;
  return `${type.allowed}${unit}${fallback === undefined ? "" : `; default ${fallback}`}`;
}
