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
 * `DATABASE_URL`; after all places, in each place PostgreSQL's own variable.
 */
export function openSources(places: readonly Place[], report: Report): readonly Source[] {
  return [
    ...places.flatMap((place) => [ownVariables(place), connectionString(place, report)]),
    ...places.map(fallbackVariables),
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

function connectionString(place: Place, report: Report): Source {
  const variable = "DATABASE_URL";
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
  // A connection string or a key may have landed in the wrong setting.
  const mayHoldSecret = settingOf(name).confidential || text.length > 60 || /[@\n]/.test(text);
  return `${mayHoldSecret ? "the value" : JSON.stringify(text)}${where}`;
}

function allowed(name: SettingName): string {
  const { type, default: fallback } = settingOf(name);
  const unit = type.unit === undefined ? "" : ` ${type.unit}`;
  return `${type.allowed}${unit}${fallback === undefined ? "" : `; default ${fallback}`}`;
}
