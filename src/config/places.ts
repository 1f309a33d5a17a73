import { parse as parseEnvFile } from "dotenv";
import type { Report } from "./config_error.ts";
import { isNotFound, type ReadTextFile, readTextFileOr } from "./files.ts";

/** A place where variables are set: the environment or the `.env` file. */
export interface Place {
  /** Path of the file; `undefined` for the environment. */
  readonly file: string | undefined;
  /** Without empty variables, which count as unset. */
  readonly variables: ReadonlyMap<string, string>;
}

/** Where settings are read from. */
export interface ConfigSourceOptions {
  /** The environment, for example `process.env`. It takes precedence over the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of a `.env` file, which need not exist. Default: no file. */
  readonly envFile?: string;
  /** Reads the `.env` file and the files that settings name. Default: from disk. */
  readonly readTextFile?: ReadTextFile;
}

/** Reads the places in order of precedence: the environment, then the file. */
export function readPlaces(
  { env, envFile }: ConfigSourceOptions,
  readTextFile: ReadTextFile,
  report: Report,
): readonly Place[] {
  const environment = { file: undefined, variables: withoutEmpty(env) };
  if (envFile === undefined) return [environment];

  const text = readTextFileOr(envFile, readTextFile, (problem, error) => {
    if (!isNotFound(error)) report(envFile, problem);
  });
  return [environment, { file: envFile, variables: withoutEmpty(parseEnvFile(text ?? "")) }];
}

function withoutEmpty(variables: ConfigSourceOptions["env"]): ReadonlyMap<string, string> {
  const entries = Object.entries(variables);
  return new Map(entries.filter((entry): entry is [string, string] => Boolean(entry[1])));
}
