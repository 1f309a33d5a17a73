import assert from "node:assert/strict";
import { ConfigError, type ConfigProblem, loadConfig } from "../../../src/config/mod.ts";

type LoadOptions = Parameters<typeof loadConfig>[0];

/** The error that loading must end with. */
export function errorOf(options: LoadOptions): ConfigError {
  try {
    loadConfig(options);
  } catch (error) {
    assert(error instanceof ConfigError);
    return error;
  }
  throw new assert.AssertionError({ message: "the configuration was accepted" });
}

/** The problems of the given environment. */
export function problemsOf(env: LoadOptions["env"]): readonly ConfigProblem[] {
  return errorOf({ env }).problems;
}

/** Reads from a record instead of the disk; what is not in it is not found. */
export function readFrom(files: Readonly<Record<string, string>>): (path: string) => string {
  return (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`no file ${path}`), { code: "ENOENT" });
    return text;
  };
}
