import type { Copy } from "./copy.ts";

/** A statement of the driver, with the parts that its types leave out. */
export interface Statement {
  /** Sends the statement; called once, when somebody first waits for it. */
  handler: (statement: Statement) => void;
  /** Called with the result; with a stream before that, when the statement copies. */
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
  cursor: (...args: unknown[]) => Cursor;
  cancel: () => void;
  /** Whether it was written as a template string, so that its values are parameters. */
  readonly tagged: boolean;
  /** The parts of the text between the values. */
  readonly strings: readonly string[];
  /** The text with placeholders, once the statement was sent. */
  readonly string?: string;
  /** Set when the statement is a cursor that has begun. */
  readonly cursorFn?: unknown;
  /** Whether the driver has it in hand, and has not called `resolve` or `reject`. */
  readonly active: boolean;
  /** Set when only its description is wanted. */
  readonly onlyDescribe?: boolean;
  /** Set when the driver sends it again, because what it was prepared for has changed. */
  readonly retried?: unknown;
  /** Set when its user has asked for the stream of a COPY, which may come later. */
  readonly streaming?: boolean;
  /** Whether it is a cursor that its user has not left. Not the driver's: see `cursorOpener`. */
  isOpenCursor?: boolean;
  /** Whether its user has left a cursor before its end. Not the driver's: see `cursorOpener`. */
  isLeft?: boolean;
  /** Set when it copies, and its stream is there. Not the driver's: see `Ending`. */
  copy?: Copy;
  /** What it has failed with, once it was sent. Not the driver's: see `intercept`. */
  failure?: unknown;
}

/** What a cursor is to its user: batches of rows, or the statement itself when a function gets them. */
export type Cursor = AsyncIterable<unknown> | Statement;

/** Hears of every statement of an intercepted `sql`. */
export interface StatementListener {
  /** Called when a statement is about to be sent; it fails with the result instead, if there is one. */
  readonly onSend: (statement: Statement) => Error | undefined;
  /** Called when the driver has taken the statement, or has failed to. */
  readonly onSent?: (() => void) | undefined;
  /** The statement fails with the result. */
  readonly onFailed: (error: unknown, statement: Statement) => unknown;
  /** Called once for each statement that was sent, after `onFailed`. */
  readonly onEnded: (statement: Statement) => void;
}
