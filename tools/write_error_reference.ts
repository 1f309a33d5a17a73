/**
 * Writes the table of `docs/errors.md` from the code, after a change of a database error:
 * `deno run -A tools/write_error_reference.ts`. A test compares the table with the code.
 *
 * @module
 */
import { Code } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { replaceSection } from "../src/config/reference.ts";
import { DatabaseError, type DatabaseErrorCode } from "../src/database/mod.ts";
import { DATABASE_ERROR_ANSWERS, type DatabaseErrorAnswer } from "../src/server/database_errors.ts";

const DOCUMENTATION = new URL("../docs/errors.md", import.meta.url);

/** Returns the cells of the table, header first. */
export function errorTable(): readonly (readonly string[])[] {
  const rows = Object.entries<DatabaseErrorAnswer>(DATABASE_ERROR_ANSWERS).map(([name, answer]) => {
    const { code, retryable, publicMessage } = new DatabaseError(name as DatabaseErrorCode);
    const { retryDelayMs } = answer;
    return [
      `\`${code}\``,
      publicMessage,
      retryable ? "yes" : "no",
      `\`${grpcName(answer.code)}\``,
      String(codeToHttpStatus(answer.code)),
      retryDelayMs === undefined ? "" : `${retryDelayMs / 1000} s`,
      answer.level,
    ];
  });
  return [["Reason", "Message", "Retryable", "gRPC code", "HTTP", "RetryInfo", "Log"], ...rows];
}

/** Converts `FailedPrecondition` of Connect to `FAILED_PRECONDITION`. */
function grpcName(code: Code): string {
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

if (import.meta.main) {
  const [header, ...rows] = errorTable();
  const table = [header!, header!.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
  const text = await Deno.readTextFile(DOCUMENTATION);
  await Deno.writeTextFile(DOCUMENTATION, replaceSection(text, "errors", table));
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", DOCUMENTATION.pathname],
  }).spawn().status;
  Deno.exit(code);
}
