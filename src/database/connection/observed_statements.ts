import type { Statement, StatementListener } from "./statement.ts";

/**
 * Called when a statement is sent, in the asynchronous context of who waits for it. The result, if
 * any, is called when the statement has ended, in any context.
 */
export type StatementObserver = () => ((statement: EndedStatement) => void) | undefined;

/** A statement that has been answered, or never will be. */
export interface EndedStatement {
  /** Its first word in upper case, such as `SELECT`; `UNKNOWN` when it has none. */
  readonly command: string;
  /** With placeholders for parameters. Undefined for text that was not a template: it may hold values. */
  readonly text: string | undefined;
  readonly host: string;
  readonly port: number;
  /** What it failed with. */
  readonly error: unknown;
}

/** Where statements go, and what their errors mean. */
export interface ObservedConnection {
  readonly host: string;
  readonly port: number;
  readonly explain: (error: unknown) => unknown;
}

/** Tells the observer of every statement that the listener lets through. */
export function observeStatements(
  listener: StatementListener,
  observer: StatementObserver,
  { host, port, explain }: ObservedConnection,
): StatementListener {
  const running = new Map<Statement, (statement: EndedStatement) => void>();
  return {
    ...listener,
    onSend(statement) {
      const refusal = listener.onSend(statement);
      const end = refusal === undefined ? observer() : undefined;
      if (end !== undefined) running.set(statement, end);
      return refusal;
    },
    onEnded(statement) {
      listener.onEnded(statement);
      const end = running.get(statement);
      running.delete(statement);
      const { failure } = statement;
      const error = failure === undefined ? undefined : explain(failure);
      end?.({ host, port, error, command: commandOf(statement), text: textOf(statement) });
    },
  };
}

function commandOf({ string, strings }: Statement): string {
  const [word] = /[a-z]+/i.exec(string ?? strings[0] ?? "") ?? [];
  return word?.toUpperCase() ?? "UNKNOWN";
}

function textOf({ tagged, string }: Statement): string | undefined {
  return tagged ? string?.trim() : undefined;
}
