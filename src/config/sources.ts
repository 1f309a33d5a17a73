import type { ConnectionParameter } from "./connection_uri.ts";
import type { Report } from "./config_error.ts";
import type { Place } from "./places.ts";
import { type SettingName, settingOf, settings } from "./settings.ts";
import type { ValueType } from "./values/value_type.ts";

/** The text of a setting and where it was found. */
export interface SourcedText {
  readonly text: string;
  /** The variable that was set: the setting's name, `DATABASE_URL`, a former name or a fallback. */
  readonly variable: string;
  /** The parameter of `DATABASE_URL` that was set, if it was that. */
  readonly parameter: ConnectionParameter | undefined;
  readonly place: Place;
}

/** Looks for a setting at one level of precedence. */
export type Source = (name: SettingName) => SourcedText | undefined;

/**
 * The levels of precedence, highest first: in each place the setting itself, then its parameter in
 * `DATABASE_URL`; after all places, in each place the fallback variable.
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

/** The settings of another login, by the setting of the service's login that each replaces. */
export type LoginNames = Readonly<
  Record<"DB_USER" | "DB_PASSWORD" | "DB_PASSWORD_FILE", SettingName>
>;

/** The same sources for another login: they have its settings only. */
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
 * The levels of precedence for the administrator, who has the settings of the service except the
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
  return (name) => fromVariable(place, name) ?? fromVariable(place, settingOf(name).formerName);
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

/** Parses the text of a setting, or reports why it is invalid and returns `undefined`. */
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

/** Whether the text of a setting may contain a secret. */
export function isConfidential(name: SettingName, text: string): boolean {
  // Someone may have put a connection string or a key into the wrong setting.
  return settingOf(name).confidential === true || text.length > 60 || /[@\n]/.test(text);
}

function allowed(name: SettingName): string {
  const { type, default: fallback } = settingOf(name);
  const unit = type.unit === undefined ? "" : ` ${type.unit}`;
  return `${type.allowed}${unit}${fallback === undefined ? "" : `; default ${fallback}`}`;
}
