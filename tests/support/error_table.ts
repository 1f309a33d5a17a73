import { readFileSync } from "node:fs";
import type { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import type { DatabaseErrorCode } from "../../src/database/mod.ts";

/** A row of `docs/errors.md`: what clients and operators are promised. */
export interface DocumentedError {
  readonly reason: DatabaseErrorCode;
  readonly message: string;
  readonly code: Code;
  readonly httpStatus: number;
  readonly retryDelayMs: number | undefined;
  readonly level: string;
}

/** The cells of the table in `docs/errors.md`, header first. */
export function documentedErrorTable(): string[][] {
  const text = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const [, section = ""] = text.split(/<!-- errors:(?:begin|end) -->/);
  const lines = section.trim().split("\n").filter((line) => !line.startsWith("| --"));
  return lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** The rows of the table in `docs/errors.md`. */
export function documentedErrors(): DocumentedError[] {
  const unquoted = (cell: string) => cell.replaceAll("`", "");
  return documentedErrorTable().slice(1).map(
    ([reason, message, _retryable, code, httpStatus, retryInfo, level]) => ({
      reason: unquoted(reason!) as DatabaseErrorCode,
      message: message!,
      code: codeFromString(unquoted(code!).toLowerCase())!,
      httpStatus: Number(httpStatus),
      retryDelayMs: retryInfo === "" ? undefined : Number.parseFloat(retryInfo!) * 1000,
      level: level!,
    }),
  );
}
