import { DatabaseError } from "../errors.ts";
import type { Statement } from "./statement.ts";

/**
 * The error for what would be sent beside a statement whose user has a part of its answer; undefined
 * when it has none. Beside a cursor the driver would keep it until the cursor's end, which never
 * comes when the cursor's own loop waits for it; in the middle of a COPY it cannot send anything.
 */
export function refusalBeside(statement: Statement): DatabaseError | undefined {
  const { isOpenCursor, streaming, copy } = statement;
  if (isOpenCursor) return refusal("cursor", "take all of its rows, or leave it,");
  const isCopying = copy === undefined ? streaming : copy.isOpen;
  return isCopying ? refusal("COPY", "wait for the end of its stream") : undefined;
}

/** Whether the statement goes on only when its user does something. */
export function waitsForUser({ isOpenCursor, copy }: Statement): boolean {
  return isOpenCursor === true || copy?.waitsForUser === true;
}

function refusal(what: string, advice: string): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message: `A ${what} is open on this connection: ${advice} before the next statement, ` +
      "or run that on another connection",
  });
}
