import { parse as parseEnvFile } from "dotenv";
import { ConfigError, type Report } from "./config_error.ts";
import { type ReadTextFile, readTextFileOr } from "./files.ts";

/** A place where variables are set: the environment or the `.env` file. */
export interface Place {
  /** Path of the file; `undefined` for the environment. */
  readonly file: string | undefined;
  /** An empty variable counts as unset and is not in here. */
  readonly variables: ReadonlyMap<string, string>;
}

export interface PlaceOptions {
  /** The real environment; it wins over the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of a `.env` file. It need not exist. */
  readonly envFile?: string;
  /** @default {Deno.readTextFileSync} */
  readonly readTextFile?: ReadTextFile;
}

/** Any one of these says which database to use; without all of them, none is configured. */
export const databaseNaming: readonly string[] = [
  "DATABASE_URL",
  "DB_HOST",
  "DB_NAME",
  "DB_USER",
  "PGHOST",
];

/** Reads the places in order of precedence: the environment, then the file. */
export function readPlaces(options: PlaceOptions, report: Report): readonly Place[] {
  const { env, envFile, readTextFile = Deno.readTextFileSync } = options;
  const environment = { file: undefined, variables: withoutEmpty(env) };
  if (envFile === undefined) return [environment];

  const text = readTextFileOr(envFile, readTextFile, (problem, error) => {
    if (!(error instanceof Deno.errors.NotFound)) report(envFile, problem);
  });
  return [environment, { file: envFile, variables: withoutEmpty(parseEnvFile(text ?? "")) }];
}

/**
 * Whether anything says which database to use: see {@linkcode databaseNaming}. {@linkcode
 * loadConfig} does not ask, because its defaults are enough for an embedded database.
 *
 * @throws {ConfigError} The file exists and cannot be read.
 */
export function isDatabaseConfigured(options: PlaceOptions): boolean {
  const places = readPlaces(options, (setting, problem) => {
    throw new ConfigError([{ setting, problem, allowed: undefined }]);
  });
  return places.some(({ variables }) => databaseNaming.some((name) => variables.has(name)));
}

function withoutEmpty(variables: PlaceOptions["env"]): ReadonlyMap<string, string> {
  const entries = Object.entries(variables);
  return new Map(entries.filter((entry): entry is [string, string] => Boolean(entry[1])));
}
