import type { DatabaseConfig } from "./config.ts";
import type { Report } from "./config_error.ts";
import { type ReadTextFile, readTextFileOr } from "./files.ts";
import { Secret } from "./secret.ts";
import type { Source, SourcedText } from "./sources.ts";

/**
 * Extracts the password from the text of a `DB_PASSWORD_FILE`: all of it except one trailing newline,
 * which editors add. Returns `undefined` if nothing is left.
 */
export function passwordInFile(text: string): Secret | undefined {
  const password = text.replace(/\r?\n$/, "");
  return password === "" ? undefined : new Secret(password);
}

/**
 * Finds the password. It and its file set the same thing, so the first source that has either one
 * takes precedence.
 */
export function readPassword(
  sources: readonly Source[],
  readTextFile: ReadTextFile,
  report: Report,
): Pick<DatabaseConfig, "password" | "passwordFile"> {
  for (const source of sources) {
    const given = source("DB_PASSWORD");
    const file = source("DB_PASSWORD_FILE");
    if (given !== undefined && file !== undefined) {
      report(file.variable, `conflicts with ${given.variable}; set only one of them`);
    }
    if (file !== undefined) {
      return { passwordFile: file.text, password: readFile(file, readTextFile, report) };
    }
    if (given !== undefined) {
      return { passwordFile: undefined, password: new Secret(given.text) };
    }
  }
  return { passwordFile: undefined, password: undefined };
}

function readFile(
  { text: path, variable }: SourcedText,
  readTextFile: ReadTextFile,
  report: Report,
): Secret | undefined {
  const reportFile = (problem: string) => report(variable, problem);
  const text = readTextFileOr(path, readTextFile, reportFile);
  const password = text === undefined ? undefined : passwordInFile(text);
  if (text !== undefined && password === undefined) reportFile("the file is empty");
  return password;
}
