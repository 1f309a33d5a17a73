import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type ExportedSpan, OtlpCollector } from "../support/otlp_collector.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { databaseEnv } from "../support/service.ts";

const MAIN = fileURLToPath(new URL("../support/traced_database_main.ts", import.meta.url));

/** Lets a process use the database in every way, and gives the spans that it has exported. */
async function trace(
  server: TestDatabase,
  collector: OtlpCollector,
  ...name: string[]
): Promise<SpanTree> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, JSON.stringify(databaseEnv(server)), ...name],
    env: collector.env,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new SpanTree(collector.spans);
}

class SpanTree {
  readonly #spans: readonly ExportedSpan[];

  constructor(spans: readonly ExportedSpan[]) {
    this.#spans = spans;
  }

  /** The span whose statement is this one. */
  statement(text: string): ExportedSpan {
    const found = this.#spans.find(({ attributes }) => attributes["db.query.text"] === text);
    return found ?? assert.fail(`no span of ${text}`);
  }

  parentOf({ parentSpanId }: ExportedSpan): ExportedSpan {
    const found = this.#spans.find(({ spanId }) => spanId === parentSpanId);
    return found ?? assert.fail("no parent");
  }

  childrenOf(parent: ExportedSpan): string[] {
    return this.#spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId)
      .map(({ name }) => name);
  }

  get roots(): ExportedSpan[] {
    return this.#spans.filter(({ parentSpanId }) => parentSpanId === "");
  }

  named(name: string): ExportedSpan[] {
    return this.#spans.filter((span) => span.name === name);
  }
}

Deno.test("queries and transactions are traced, with statements but without values", async () => {
  await using server = await createDatabase();
  await using collector = new OtlpCollector();
  const spans = await trace(server, collector);
  const { host, port, database } = server.database;
  const namespace = `${database}|public`;
  const common = { "db.system.name": "postgresql", "db.namespace": namespace };

  const select = spans.statement("select balance from account where iban = $1");
  assert.equal(select.name, `SELECT ${namespace}`);
  assert.equal(select.kind, "CLIENT");
  assert.deepEqual(select.attributes, {
    ...common,
    "db.operation.name": "SELECT",
    "db.query.text": "select balance from account where iban = $1",
    "server.address": host,
    "server.port": port,
  });
  const query = spans.parentOf(select);
  assert.deepEqual([query.name, query.kind, query.hasFailed], [
    "database.query",
    "INTERNAL",
    false,
  ]);
  assert.deepEqual(query.attributes, common);
  assert.deepEqual(spans.childrenOf(query), ["database.acquire", select.name]);

  const update = spans.statement("update account set balance = balance + $1 where iban = $2");
  const transaction = spans.parentOf(update);
  assert.equal(transaction.name, "database.transaction");
  assert.deepEqual(spans.childrenOf(transaction), [
    "database.acquire",
    ...["BEGIN", "UPDATE", "UPDATE", "COMMIT"].map((command) => `${command} ${namespace}`),
  ]);

  const invalid = spans.statement("select $1::text::int");
  assert.ok(invalid.hasFailed);
  assert.equal(invalid.attributes["error.type"], "QUERY_FAILED");
  assert.equal(invalid.attributes["db.response.status_code"], "22P02");
  assert.equal(spans.parentOf(invalid).attributes["error.type"], "QUERY_FAILED");
  assert.ok(
    collector.spans.some(({ attributes }) => attributes["error.type"] === "UNIQUE_VIOLATION"),
  );
  const failed = spans.named("database.transaction").filter(({ hasFailed }) => hasFailed);
  assert.deepEqual(failed.map(({ attributes }) => attributes["error.type"]), ["TypeError"]);

  // Nobody waited for what the recovery did, so it is in no trace.
  assert.ok(spans.roots.every(({ name }) => name.startsWith("database.")));
  assert.ok(spans.roots.every(({ name }) => name !== "database.acquire"));
  const exported = collector.bodies.join("\n");
  assert.doesNotMatch(exported, /hunter2/);
  assert.ok(!exported.includes(server.database.password));
});

Deno.test("the spans of a manager with a name say whose they are", async () => {
  await using server = await createDatabase();
  await using collector = new OtlpCollector();
  const spans = await trace(server, collector, "ledger");

  for (const name of ["database.query", "database.transaction", "database.acquire"]) {
    const found = spans.named(name);
    assert.notEqual(found.length, 0);
    for (const { attributes } of found) {
      assert.equal(attributes["treasury.database.name"], "ledger");
    }
  }
  const [acquire] = spans.named("database.acquire");
  assert.equal(acquire!.attributes["db.client.connection.pool.name"], "ledger-primary");
  const select = spans.statement("select balance from account where iban = $1");
  assert.equal(select.attributes["treasury.database.name"], "ledger");
});
