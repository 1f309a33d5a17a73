import { Buffer } from "node:buffer";
import { DatabaseError } from "../errors.ts";
import { encode, Json, type Parameter, type SentParameter, TypedText } from "./values.ts";

export { Json, type Parameter } from "./values.ts";

/**
 * Result of a statement: its rows, the number of rows that it returned or changed, and its command,
 * such as `INSERT`. `count` is 0 for commands that do not count rows.
 */
export type Rows<Row extends object = Record<string, unknown>> = readonly Row[] & {
  readonly count: number;
  readonly command: string;
};

/**
 * A part of the text of a statement; created with {@linkcode SqlParts}, never from a plain string.
 */
export abstract class SqlPart {
  /**
   * Appends the part to a statement.
   *
   * @internal
   */
  abstract appendTo(text: StatementText): void;
}

/** What an SQL template accepts: values, which become parameters, and parts of the text. */
export type SqlValue = Parameter | SqlPart;

/**
 * Parts to compose statements from. They are independent of a connection, and can be nested and
 * reused.
 */
export interface SqlParts {
  /**
   * A quoted name: `sql.identifier("public", "account")` is `"public"."account"`.
   *
   * @throws {DatabaseError} `INVALID_USE` if the name is empty or contains a NUL character.
   */
  readonly identifier: (...path: readonly string[]) => SqlPart;
  /** A piece of SQL with its parameters; an empty one for a condition that does not apply. */
  readonly fragment: (strings: TemplateStringsArray, ...values: readonly SqlValue[]) => SqlPart;
  /**
   * Values in parentheses, for `in`. If the list can be empty, use `= any(${array})`: SQL has no
   * empty `in ()`.
   *
   * @throws {DatabaseError} `INVALID_USE` if the list is empty.
   */
  readonly list: (values: readonly SqlValue[]) => SqlPart;
  /**
   * Columns and values of rows to insert: `insert into account ${sql.rows([{ id, balance }])}`.
   *
   * @param columns The columns; default: the properties of the first row.
   * @throws {DatabaseError} `INVALID_USE` if there are no rows or no columns, or the properties of
   * a row differ from those of the first one.
   */
  readonly rows: <Row extends { readonly [Column in keyof Row]-?: SqlValue }>(
    rows: readonly Row[],
    columns?: readonly (keyof Row & string)[],
  ) => SqlPart;
  /**
   * A JSON document as one parameter, of type `jsonb`.
   *
   * @throws {DatabaseError} `INVALID_USE` if the value has no JSON representation.
   */
  readonly json: (value: unknown) => Json;
}

/**
 * Runs statements; used by connections, operations and transactions. A statement is sent when it is
 * first awaited; statements are sent one at a time, in the order in which they are awaited.
 */
export interface Sql extends SqlParts {
  <Row extends object = Record<string, unknown>>(
    strings: TemplateStringsArray,
    ...values: readonly SqlValue[]
  ): Statement<Row>;
  /**
   * A large result in batches, read from a cursor on the server, with one batch in memory at a
   * time:
   *
   * `for await (const rows of sql.stream({ batch: 500 })`…`) …`
   *
   * The cursor is closed when the loop ends, in any way; another loop reads the result again. Outside
   * of a transaction it starts one, which other statements in the loop belong to, and commits it at
   * the end, also when the loop throws: a loop that writes belongs in `transaction`.
   */
  stream(
    options: StreamOptions,
  ): <Row extends object = Record<string, unknown>>(
    strings: TemplateStringsArray,
    ...values: readonly SqlValue[]
  ) => AsyncIterable<readonly Row[]>;
}

/** Batch size of `sql.stream`. */
export interface StreamOptions {
  /** Number of rows to fetch at a time; a whole number, 1 or greater. */
  readonly batch: number;
}

/** Runs the statements of one `sql`. */
export interface StatementRunner {
  readonly run: (statement: StatementText) => Promise<Rows<object>>;
  /** Called when a statement is created, before it is awaited. */
  readonly onWritten?: (statement: Statement) => void;
  /** Called when a statement is awaited. */
  readonly onAwaited?: (statement: Statement) => void;
  /** Resolves when the previous statements have ended, with whether a transaction is open. */
  readonly isInTransaction: () => Promise<boolean>;
  /** Names of the cursors that may be open. */
  readonly cursors: Set<string>;
}

/**
 * A statement, which is sent when it is first awaited, and settles when the server is ready for the
 * next one. Its errors are {@linkcode DatabaseError}s.
 */
export class Statement<Row extends object = Record<string, unknown>> implements Promise<Rows<Row>> {
  readonly #runner: StatementRunner;
  readonly #strings: TemplateStringsArray;
  readonly #values: readonly SqlValue[];
  #rows: Promise<Rows<Row>> | undefined;

  /** @internal */
  constructor(
    runner: StatementRunner,
    strings: TemplateStringsArray,
    values: readonly SqlValue[],
  ) {
    this.#runner = runner;
    this.#strings = strings;
    this.#values = values;
    runner.onWritten?.(this as Statement);
  }

  /** `Statement`. */
  get [Symbol.toStringTag](): string {
    return "Statement";
  }

  /** The text with `$` for each value, truncated; for messages. */
  get outline(): string {
    const text = this.#strings.join("$").replaceAll(/\s+/g, " ").trim();
    return text.length <= MAX_OUTLINE ? text : `${text.slice(0, MAX_OUTLINE)}…`;
  }

  /** Sends the statement, unless it has been sent, and waits for its rows. */
  then<A = Rows<Row>, B = never>(
    onFulfilled?: ((rows: Rows<Row>) => A | PromiseLike<A>) | null,
    onRejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#send().then(onFulfilled, onRejected);
  }

  /** As {@linkcode Statement.then}. */
  catch<B = never>(
    onRejected?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<Rows<Row> | B> {
    return this.#send().catch(onRejected);
  }

  /** As {@linkcode Statement.then}. */
  finally(onFinally?: (() => void) | null): Promise<Rows<Row>> {
    return this.#send().finally(onFinally);
  }

  #send(): Promise<Rows<Row>> {
    return this.#rows ??= this.#run();
  }

  #run(): Promise<Rows<Row>> {
    this.#runner.onAwaited?.(this as Statement);
    try {
      return this.#runner.run(compile(this.#strings, this.#values)) as Promise<Rows<Row>>;
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

const MAX_OUTLINE = 100;

/** The text of a statement with placeholders, and its parameters as they are sent. */
export class StatementText {
  text: string;
  readonly parameters: SentParameter[] = [];
  /** Whether the server may keep the prepared statement. */
  prepare = true;
  /** Whether a parameter is sent with a declared type. */
  isTyped = false;
  /** Whether the text can be another one the next time, as the length of a list. */
  isVariable = false;
  /** Whether all that it does is undone unless a commit follows. */
  isUncommitted = false;

  constructor(text = "") {
    this.text = text;
  }

  /** Appends a template: its text, and each value as a parameter or a part. */
  add(strings: TemplateStringsArray, values: readonly unknown[]): this {
    this.text += strings[0];
    for (const [index, value] of values.entries()) {
      this.addValue(value);
      this.text += strings[index + 1];
    }
    return this;
  }

  /** @throws {DatabaseError} `INVALID_USE` if it is neither a part nor a supported value. */
  addValue(value: unknown): void {
    if (value instanceof SqlPart) {
      this.isVariable = true;
      return value.appendTo(this);
    }
    if (value instanceof Statement) {
      throw invalid(
        "A statement cannot be part of another one: write the part as sql.fragment`…`",
      );
    }
    this.addParameter(value);
    this.text += `$${this.parameters.length}`;
  }

  /** @throws {DatabaseError} `INVALID_USE` if the value is not supported. */
  addParameter(value: unknown): void {
    const parameter = encode(value, this.parameters.length + 1);
    this.parameters.push(parameter);
    if (parameter instanceof TypedText) this.isTyped = true;
  }

  /** A copy for one use. */
  unprepared(): this {
    this.prepare = false;
    return this;
  }

  /** The same, where all that it does is undone unless a commit follows. */
  uncommitted(): this {
    this.isUncommitted = true;
    return this;
  }
}

/** PostgreSQL allows 65,535 parameters; postgres.js allows two fewer. */
const MAX_PARAMETERS = 65_533;

/**
 * Cache of the texts of templates without parts, which are always the same. The key is the template
 * object, of which there is one for each place in the program.
 */
const texts = new WeakMap<TemplateStringsArray, string>();

/**
 * Compiles a template to text and parameters.
 *
 * @throws {DatabaseError} `INVALID_USE`; the message names the parameter or the error in the text.
 */
export function compile(strings: TemplateStringsArray, values: readonly unknown[]): StatementText {
  const text = texts.get(strings);
  if (text === undefined) return compileAnew(strings, values);
  const statement = new StatementText(text);
  for (const value of values) {
    // The same place in the program can have a part once and a value the next time.
    if (value instanceof SqlPart) return compileAnew(strings, values);
    statement.addParameter(value);
  }
  return statement;
}

function compileAnew(strings: TemplateStringsArray, values: readonly unknown[]): StatementText {
  requireTemplate(strings);
  const statement = new StatementText().add(strings, values);
  requireSendable(statement);
  if (!statement.isVariable) texts.set(strings, statement.text);
  return statement;
}

/** FETCH takes an int4. */
const MAX_FETCH = 2 ** 31 - 1;

/** Creates the `sql` of a runner. */
export function createSql(runner: StatementRunner): Sql {
  const tag = <Row extends object>(
    strings: TemplateStringsArray,
    ...values: readonly SqlValue[]
  ) => new Statement<Row>(runner, requireTemplate(strings), values);
  const stream =
    ({ batch }: StreamOptions) =>
    <Row extends object>(strings: TemplateStringsArray, ...values: readonly SqlValue[]) => {
      if (!(Number.isSafeInteger(batch) && batch > 0 && batch <= MAX_FETCH)) {
        throw invalid(`sql.stream: batch must be a whole number from 1 to ${MAX_FETCH}`);
      }
      const query = new Fragment(requireTemplate(strings), values);
      return { [Symbol.asyncIterator]: () => readBatches<Row>(runner, query, batch) };
    };
  return Object.assign(tag, parts, { stream });
}

/** The parts of statements; see {@linkcode SqlParts}. */
const parts: SqlParts = {
  identifier: (...path) => new Identifier(path),
  fragment: (strings, ...values) => new Fragment(requireTemplate(strings), values),
  list: (values) => new List(values),
  rows: (rows, columns) => new BulkRows(rows, columns),
  json: (value) => new Json(value),
};

export { parts as sql };

class Identifier extends SqlPart {
  readonly #quoted: string;

  constructor(path: readonly string[]) {
    super();
    if (path.length === 0) throw invalid("sql.identifier needs a name");
    this.#quoted = path.map(quote).join(".");
  }

  override appendTo(text: StatementText): void {
    text.text += this.#quoted;
  }
}

class Fragment extends SqlPart {
  readonly #strings: TemplateStringsArray;
  readonly #values: readonly SqlValue[];

  constructor(strings: TemplateStringsArray, values: readonly SqlValue[]) {
    super();
    this.#strings = strings;
    this.#values = values;
  }

  override appendTo(text: StatementText): void {
    text.add(this.#strings, this.#values);
  }
}

class List extends SqlPart {
  readonly #values: readonly SqlValue[];

  constructor(values: readonly SqlValue[]) {
    super();
    if (values.length === 0) {
      throw invalid("sql.list is empty: if the list can be empty, use = any(${array})");
    }
    this.#values = values;
  }

  override appendTo(text: StatementText): void {
    appendList(text, this.#values);
  }
}

class BulkRows extends SqlPart {
  readonly #rows: readonly Readonly<Record<string, SqlValue>>[];
  readonly #columns: readonly string[];

  constructor(
    rows: readonly Readonly<Record<string, SqlValue>>[],
    given?: readonly string[],
  ) {
    super();
    const columns = given ?? Object.keys(rows[0] ?? {});
    if (rows.length === 0) throw invalid("sql.rows: there are no rows to insert");
    if (columns.length === 0) throw invalid("sql.rows: the rows have no columns");
    this.#rows = rows;
    this.#columns = columns;
    for (const [index, row] of rows.entries()) {
      this.#requireColumns(row, index + 1, given !== undefined);
    }
  }

  override appendTo(text: StatementText): void {
    text.text += `(${this.#columns.map(quote).join(", ")}) values `;
    for (const [index, row] of this.#rows.entries()) {
      if (index > 0) text.text += ", ";
      appendList(text, this.#columns.map((column) => row[column]));
    }
  }

  /** A value that only some rows have would otherwise be dropped, or become null, silently. */
  #requireColumns(
    row: Readonly<Record<string, SqlValue>>,
    number: number,
    areGiven: boolean,
  ): void {
    const missing = this.#columns.find((column) => row[column] === undefined);
    if (missing !== undefined) {
      throw invalid(`sql.rows: row ${number} has no ${missing}; use null for "no value"`);
    }
    const more = Object.keys(row).find((column) => !this.#columns.includes(column));
    if (more !== undefined && !areGiven) {
      throw invalid(`sql.rows: row ${number} has ${more}, unlike the first row`);
    }
  }
}

function appendList(text: StatementText, values: readonly unknown[]): void {
  text.text += "(";
  for (const [index, value] of values.entries()) {
    if (index > 0) text.text += ", ";
    text.addValue(value);
  }
  text.text += ")";
}

/**
 * Reads a result with plain DECLARE and FETCH statements, so that the driver needs no support for
 * cursors, and a connection pooler sees an ordinary transaction.
 *
 * Source: PostgreSQL documentation, "DECLARE".
 */
async function* readBatches<Row extends object>(
  runner: StatementRunner,
  query: SqlPart,
  batch: number,
): AsyncGenerator<readonly Row[], void, void> {
  // Prepared statements for each cursor would accumulate in the session.
  const run = (strings: TemplateStringsArray, ...values: readonly SqlValue[]) =>
    runner.run(compile(strings, values).unprepared().uncommitted());
  let isOwnTransaction = !await runner.isInTransaction();
  // Another stream may have sent its begin by now, and this one must not end what that has begun.
  if (runner.cursors.size > 0) isOwnTransaction = !await runner.isInTransaction();
  const name = freeName(runner.cursors);
  const cursor = parts.identifier(name);
  const size = new WholeNumber(batch);
  let hasFailed = false;
  runner.cursors.add(name);
  try {
    if (isOwnTransaction) await run`begin`;
    await run`declare ${cursor} no scroll cursor for ${query}`;
    while (true) {
      const rows = await run`fetch ${size} from ${cursor}` as Rows<Row>;
      if (rows.length > 0) yield rows;
      if (rows.length < batch) break;
    }
  } catch (error) {
    hasFailed = true;
    throw error;
  } finally {
    // In another's transaction the cursor may stay open after a failure.
    if (isOwnTransaction || !hasFailed) runner.cursors.delete(name);
    // After an error there is nothing to close, and that error is the one to throw.
    if (hasFailed) await (isOwnTransaction && run`rollback`.catch(() => {}));
    else if (!isOwnTransaction) await run`close ${cursor}`;
    else await commit(runner.run(new StatementText("commit").unprepared()));
  }
}

/** The server answers the commit of a failed transaction with a rollback, not with an error. */
async function commit(committing: Promise<Rows<object>>): Promise<void> {
  const { command } = await committing;
  if (command !== "COMMIT") throw new DatabaseError("TRANSACTION_ABORTED");
}

function freeName(taken: ReadonlySet<string>): string {
  for (let number = 1;; number++) {
    const name = `stream_${number}`;
    if (!taken.has(name)) return name;
  }
}

/** FETCH does not support parameters. */
class WholeNumber extends SqlPart {
  readonly #value: number;

  constructor(value: number) {
    super();
    this.#value = value;
  }

  override appendTo(text: StatementText): void {
    text.text += this.#value;
  }
}

/** Source: PostgreSQL documentation, 4.1.1 "Identifiers and Key Words". */
const MAX_NAME_BYTES = 63;

/** Quotes a name as an identifier. */
function quote(name: string): string {
  if (name === "") throw invalid("An identifier must not be empty");
  if (name.includes("\0")) throw invalid("An identifier must not contain a NUL character");
  // PostgreSQL would truncate it, and two names could become one.
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw invalid(`An identifier must not be longer than ${MAX_NAME_BYTES} bytes`);
  }
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Parsed JSON can look like a template, but an array of it has no `raw`.
 *
 * @throws {DatabaseError} `INVALID_USE` for a function call with a string, which could hold values.
 */
function requireTemplate(strings: TemplateStringsArray): TemplateStringsArray {
  if (Array.isArray(strings) && Array.isArray(strings.raw)) return strings;
  throw invalid("SQL must be written as a template: sql`select …`, not sql(…)");
}

function requireSendable({ text, parameters }: StatementText): void {
  if (text.includes("\0")) {
    throw invalid("The text of a statement must not contain a NUL character");
  }
  if (COPY.test(text.replace(LEADING_COMMENTS, ""))) {
    throw invalid("COPY is not supported: insert rows with sql.rows, read them with sql.stream");
  }
  if (parameters.length > MAX_PARAMETERS) {
    throw invalid(
      `Too many parameters: ${parameters.length} (maximum: ${MAX_PARAMETERS}). Send fewer rows at a ` +
        "time, or arrays to unnest(…)",
    );
  }
}

/** COPY uses a sub-protocol in which the connection would hang. */
const COPY = /^copy\b/i;
const LEADING_COMMENTS = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/|;)*/;

function invalid(message: string): DatabaseError {
  return new DatabaseError("INVALID_USE", { message });
}
