import assert from "node:assert/strict";
import { inspect } from "node:util";
import postgres from "postgres";
import {
  abortReason,
  classify,
  DatabaseError,
  type DatabaseErrorCode,
} from "../../../src/database/errors.ts";

function serverError(code: string, fields: Record<string, unknown> = {}): Error {
  const error = new Error("server message");
  error.name = "PostgresError";
  return Object.assign(error, { code, severity: "ERROR", severity_local: "ERROR", ...fields });
}

/** An error with which a server ends the session, or refuses it. */
function fatalError(code: string): Error {
  return serverError(code, { severity: "FATAL", severity_local: "FATAL" });
}

function socketError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 127.0.0.1:5432`), { code });
}

const SQLSTATES:
  readonly (readonly [string, DatabaseErrorCode, { readonly retryable: boolean }])[] = [
    ["08006", "CONNECTION_LOST", { retryable: true }],
    ["25006", "READ_ONLY", { retryable: false }],
    ["28000", "AUTHENTICATION_FAILED", { retryable: false }],
    ["28P01", "AUTHENTICATION_FAILED", { retryable: false }],
    ["3D000", "DATABASE_NOT_FOUND", { retryable: false }],
    ["53300", "TOO_MANY_CONNECTIONS", { retryable: true }],
    ["57P01", "SERVER_SHUTTING_DOWN", { retryable: true }],
    ["57P02", "SERVER_SHUTTING_DOWN", { retryable: true }],
    ["57P03", "SERVER_STARTING", { retryable: true }],
    ["57P04", "DATABASE_NOT_FOUND", { retryable: false }],
    ["57P05", "CONNECTION_LOST", { retryable: true }],
    ["08007", "COMMIT_UNKNOWN", { retryable: false }],
    ["22012", "QUERY_FAILED", { retryable: false }],
    ["23503", "CONSTRAINT_VIOLATION", { retryable: false }],
    ["23505", "UNIQUE_VIOLATION", { retryable: false }],
    ["25P02", "TRANSACTION_ABORTED", { retryable: false }],
    ["40001", "SERIALIZATION_FAILURE", { retryable: true }],
    ["40002", "CONSTRAINT_VIOLATION", { retryable: false }],
    ["40003", "COMMIT_UNKNOWN", { retryable: false }],
    ["40P01", "DEADLOCK", { retryable: true }],
    ["42501", "INSUFFICIENT_PRIVILEGE", { retryable: false }],
    ["53100", "OUT_OF_RESOURCES", { retryable: true }],
    ["53200", "OUT_OF_RESOURCES", { retryable: true }],
    ["53400", "QUERY_FAILED", { retryable: false }],
    ["55P03", "LOCK_TIMEOUT", { retryable: true }],
    ["57014", "STATEMENT_TIMEOUT", { retryable: true }],
  ];

Deno.test("errors of the server are classified by SQLSTATE", () => {
  for (const [sqlState, code, { retryable }] of SQLSTATES) {
    const error = classify(fatalError(sqlState));
    assert.equal(error.code, code, sqlState);
    assert.equal(error.retryable, retryable, sqlState);
    assert.equal(error.sqlState, sqlState);
  }
});

Deno.test("only what makes the database unusable is an outage", () => {
  const others = ["53100", "53300", "57014", "40001", "40P01", "55P03", "08007", "23505"];
  for (const sqlState of others) {
    assert.equal(classify(fatalError(sqlState)).isOutage, false, sqlState);
  }
  for (const sqlState of ["08006", "57P01", "57P03", "28P01"]) {
    assert.equal(classify(fatalError(sqlState)).isOutage, true, sqlState);
  }
});

Deno.test("what fails a statement and not the session is no outage", () => {
  // A wrong number of parameters, dblink, pg_database_size('missing'), set role.
  for (const sqlState of ["08P01", "08001", "08006", "3D000", "28000", "57P01"]) {
    const { code, isOutage, retryable } = classify(serverError(sqlState));
    assert.deepEqual(
      { code, isOutage, retryable },
      { code: "QUERY_FAILED", isOutage: false, retryable: false },
      sqlState,
    );
  }
  for (const [sqlState, code, { retryable }] of SQLSTATES) {
    const error = classify(serverError(sqlState));
    if (classify(fatalError(sqlState)).isOutage) continue;
    assert.deepEqual([error.code, error.retryable], [code, retryable], sqlState);
  }
});

Deno.test("errors of the network are classified by their code", () => {
  const expected: Record<string, DatabaseErrorCode> = {
    ECONNREFUSED: "CONNECTION_REFUSED",
    EHOSTUNREACH: "HOST_UNREACHABLE",
    ENETUNREACH: "HOST_UNREACHABLE",
    ENOTFOUND: "HOST_NOT_FOUND",
    EAI_AGAIN: "HOST_NOT_FOUND",
    ETIMEDOUT: "CONNECT_TIMEOUT",
    ECONNRESET: "CONNECTION_LOST",
    EPIPE: "CONNECTION_LOST",
    CONNECTION_CLOSED: "CONNECTION_LOST",
  };
  for (const [given, code] of Object.entries(expected)) {
    const error = classify(socketError(given));
    assert.equal(error.code, code, given);
    assert.ok(error.retryable && error.isOutage, given);
    assert.match(error.message, /127\.0\.0\.1:5432/);
  }
});

Deno.test("the public message repeats nothing of the server's", () => {
  const error = classify(serverError("23505"));
  assert.match(error.message, /server message/);
  assert.doesNotMatch(error.publicMessage, /server message/);
});

Deno.test("a cause keeps what finds the fault, and loses statement, values and options", () => {
  const secret = "the-secret";
  const original = serverError("23505", {
    constraint_name: "account_pkey",
    detail: `Key (iban)=(${secret}) already exists.`,
    where: `COPY account, line 1: "${secret}"`,
    query: `insert into account values ('${secret}')`,
    parameters: [secret],
    options: { pass: secret },
  });
  const aggregate = new AggregateError([original], "all failed");
  for (const cause of [original, aggregate, { pass: secret }]) {
    const error = new DatabaseError("QUERY_FAILED", { cause });
    const shown = inspect(error, { depth: 20, showHidden: true, getters: true });
    assert.doesNotMatch(shown, new RegExp(secret));
  }
  assert.match(inspect(classify(original), { depth: 20 }), /account_pkey/);
});

Deno.test("a data exception loses the value that it is about, in every language", () => {
  const messages = [
    ['invalid input syntax for type integer: "my: secret"', "ERROR", "type integer"],
    ['value "secret" is out of range for type integer', "ERROR", "out of range for type integer"],
    ["duplicate JSON object key value: secret", "ERROR", "duplicate JSON object key"],
    ["division by zero", "ERROR", "division by zero"],
    ["la sintaxis de entrada no es válida para tipo integer: «secret»", "ERROR", "tipo integer"],
    ["ungültige Eingabesyntax für Typ integer: »secret«", "FEHLER", "not in English"],
    ["syntaxe en entrée invalide pour le type integer : « secret »", "ERREUR", "not in English"],
  ] as const;
  for (const [message, severity_local, kept] of messages) {
    const error = classify(Object.assign(serverError("22P02", { severity_local }), { message }));
    const shown = inspect(error, { depth: 20, showHidden: true, getters: true });
    assert.doesNotMatch(shown, /secret/);
    assert.ok(error.message.includes(kept), error.message);
    assert.match(error.message, /22P02/);
  }
});

Deno.test("a DatabaseError is not classified again", () => {
  const error = new DatabaseError("POOL_CLOSED");
  assert.equal(classify(error), error);
});

Deno.test("the driver's errors have the name that they are told apart by", () => {
  // deno-lint-ignore no-explicit-any -- its constructor is not in the types
  const PostgresError = (postgres as any).PostgresError as new (fields: object) => Error;
  const error = new PostgresError({ message: "no", code: "28P01" });
  assert.equal(classify(error).code, "AUTHENTICATION_FAILED");
});

Deno.test("an abort throws its reason if that is a DatabaseError, else ABORTED", () => {
  const reason = new DatabaseError("PING_TIMEOUT");
  assert.equal(abortReason(AbortSignal.abort(reason)), reason);
  assert.equal(abortReason(AbortSignal.abort()).code, "ABORTED");
});

Deno.test("PgBouncer's errors have one SQLSTATE, and are told apart by their message", () => {
  const messages: readonly (readonly [string, DatabaseErrorCode])[] = [
    ["unsupported startup parameter: search_path", "POOLER_MISMATCH"],
    ["no more connections allowed (max_client_conn)", "TOO_MANY_CONNECTIONS"],
    ["query_wait_timeout", "TOO_MANY_CONNECTIONS"],
    ["pgbouncer cannot connect to server", "CONNECTION_REFUSED"],
    [
      "server login has been failing, try again later (server_login_retry)",
      "CONNECTION_REFUSED",
    ],
    ["password authentication failed", "AUTHENTICATION_FAILED"],
    ['password authentication failed for user "treasury_user"', "AUTHENTICATION_FAILED"],
    ["no such database: missing", "DATABASE_NOT_FOUND"],
    ['database "missing" does not exist', "DATABASE_NOT_FOUND"],
    ["server conn crashed?", "CONNECTION_LOST"],
  ];
  for (const [message, code] of messages) {
    // As it sends them: without the severity that a server does not translate.
    const error = serverError("08P01", { severity: undefined, severity_local: "FATAL" });
    assert.equal(classify(Object.assign(error, { message })).code, code, message);
    // Somebody else's words.
    assert.equal(classify(Object.assign(serverError("P0001"), { message })).code, "QUERY_FAILED");
  }
});
