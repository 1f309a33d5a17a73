import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ARRAY_TYPES } from "../../src/database/connection/values.ts";
import type { DatabaseManager, Parameter, Sql } from "../../src/database/mod.ts";
import { sql } from "../../src/database/mod.ts";
import {
  startManager,
  type TestManager,
  untilState,
  watchUnhandled,
} from "../support/database_support.ts";
import { pgBouncerTest, startPgBouncer } from "../support/pgbouncer.ts";
import { createDatabase, startPostgres, type TestDatabase } from "../support/postgres.ts";

async function start(
  server: TestDatabase,
  config: Parameters<typeof startManager>[1] = {},
): Promise<TestManager> {
  const test = startManager(server, { maxConnections: 1, ...config });
  await untilState(test.database, "connected");
  await test.database.query`create table entry (id int primary key, name text, doc jsonb)`;
  return test;
}

/** The tag, wherever it is to be had. */
const TAGS: Readonly<
  Record<string, <T>(database: DatabaseManager, work: (sql: Sql) => PromiseLike<T>) => Promise<T>>
> = {
  withConnection: (database, work) => database.withConnection(work as never),
  transaction: (database, work) => database.transaction(work as never),
  savepoint: (database, work) => database.transaction((tx) => tx.savepoint(work as never)),
};

Deno.test("every kind of value comes back as it was sent", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const at = new Date("2026-01-02T03:04:05.678Z");
  const values: readonly (readonly [string, Parameter, unknown])[] = [
    ["text", 'it\'s \\ "quoted"', 'it\'s \\ "quoted"'],
    ["int", 42, 42],
    ["float8", 0.1, 0.1],
    ["float8", Infinity, Infinity],
    ["bool", true, true],
    ["int8", 9007199254740993n, "9007199254740993"],
    ["numeric", "1.10", "1.10"],
    ["timestamptz", at, at],
    ["bytea", new Uint8Array([0, 255]), Buffer.from([0, 255])],
    ["jsonb", sql.json({ a: [1, "b", null] }), { a: [1, "b", null] }],
    ["json", sql.json("text"), "text"],
    ["uuid", "3b241101-e2bb-4255-8caf-4136c566a962", "3b241101-e2bb-4255-8caf-4136c566a962"],
    ["text", null, null],
  ];
  for (const [type, sent, expected] of values) {
    const cast = sql.fragment`${sent}::${sql.identifier(type === "int" ? "int4" : type)}`;
    const [row] = await test.database.query<{ value: unknown }>`select ${cast} as value`;
    assert.deepEqual(row?.value, expected, type);
  }
});

/** For each built-in type, two different values of it. */
const ARRAYS: Readonly<Record<string, readonly [Parameter, Parameter]>> = {
  bool: [true, false],
  bytea: [new Uint8Array([1]), new Uint8Array([0x5c, 0x22])],
  int2: [1, 2],
  int4: [1, -2],
  int8: [1n, 9007199254740993n],
  float4: [1.5, 2],
  float8: [0.1, 1e300],
  numeric: ["1.10", "1e100"],
  text: ['a"b\\c', "{d,e}"],
  varchar: ["", "NULL"],
  bpchar: ["a", "b"],
  uuid: ["3b241101-e2bb-4255-8caf-4136c566a962", "00000000-0000-0000-0000-000000000000"],
  date: ["2026-01-02", "infinity"],
  timestamp: ["2026-01-02 03:04:05", "1999-12-31 23:59:59.999"],
  timestamptz: [new Date(0), new Date(86_400_000)],
  time: ["03:04:05", "23:59:59"],
  interval: ["1 day", "02:00:00"],
  jsonb: [sql.json({ a: [1] }), sql.json("b")],
  json: [sql.json([]), sql.json(null)],
  inet: ["127.0.0.1", "::1"],
  cidr: ["10.0.0.0/8", "fe80::/64"],
  macaddr: ["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"],
  bit: ["1", "0"],
  varbit: ["101", ""],
  money: ["1.00", "2.00"],
  oid: [1, 2],
  name: ["a", "b"],
};

for (const [type, values] of Object.entries(ARRAYS)) {
  Deno.test(`an array of ${type} is a parameter, for any and unnest`, async () => {
    await using server = await createDatabase();
    await using test = await start(server);
    const { database } = test;
    const name = sql.identifier("pg_catalog", type);
    const array = [values[0], null, values[1]];
    const found = await database.query<{ one: string }>`
      select one::text from unnest(${array}::${name}[]) as one where one is not null
    `;
    assert.equal(found.length, 2);
    if (type === "json") return; // has no equality
    const [row] = await database.query<{ found: boolean }>`
      select ${values[1]}::${name} = any(${array}::${name}[]) as found
    `;
    assert.equal(row?.found, true);
  });
}

Deno.test("an array needs no type where a column has one", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const { database } = test;
  await database.query`insert into entry ${
    sql.rows([1, 2, 3].map((id) => ({ id, name: `n${id}` })))
  }`;
  const ids = async (rows: PromiseLike<readonly { id: number }[]>) =>
    (await rows).map(({ id }) => id);
  assert.deepEqual(
    await ids(database.query<{ id: number }>`select id from entry where id = any(${[1, 3]})`),
    [1, 3],
  );
  assert.deepEqual(
    await ids(database.query<{ id: number }>`select id from entry where id = any(${[]})`),
    [],
  );
  assert.deepEqual(
    await ids(database.query<{ id: number }>`select id from entry where id = any(${[2n]})`),
    [2],
  );
  assert.deepEqual(
    await ids(database.query<{ id: number }>`select id from entry where name = any(${["n2"]})`),
    [2],
  );
  assert.deepEqual(
    await ids(database.query<{ id: number }>`select id from entry where id in ${sql.list([3])}`),
    [3],
  );
});

/** Settings of a role with which a date and bytes look different. */
const OTHER_FORMATS = "datestyle = 'SQL, DMY'; bytea_output = 'escape'".split("; ");

async function readsFormats(server: TestDatabase, config: Parameters<typeof startManager>[1]) {
  for (const setting of OTHER_FORMATS) {
    await server.admin(`alter role "${server.database.user}" set ${setting}`);
  }
  await using test = await start(server, config);
  const [row] = await test.database.query`
    select '2026-04-03'::date as date, '2026-04-03 00:00Z'::timestamptz as at, '\\x01ff'::bytea as bytes
  `;
  const at = new Date("2026-04-03T00:00:00Z");
  assert.deepEqual(row, { date: at, at, bytes: Buffer.from([1, 255]) });
}

Deno.test("dates and bytes are read whatever format a role has set", async () => {
  await using server = await startPostgres();
  await readsFormats(server, {});
});

pgBouncerTest(
  "dates and bytes are read whatever format a role has set, through a pooler",
  async () => {
    await using server = await startPostgres();
    await using bouncer = await startPgBouncer(server, "session");
    await readsFormats(server, bouncer.config());
  },
);

Deno.test("array results are arrays", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const [row] = await test.database.query`
    select array[1, null, 3] as ints, array['a"b\\c', 'd,e', '', 'NULL', null] as texts,
      array[[true, false], [false, true]] as bools, '[0:1]={7,8}'::int[] as bounds,
      array[]::text[] as empty, array['{"a": [1]}'::jsonb] as docs, array['\\x01'::bytea] as bytes
  `;
  assert.deepEqual(row, {
    ints: [1, null, 3],
    texts: ['a"b\\c', "d,e", "", "NULL", null],
    bools: [[true, false], [false, true]],
    bounds: [7, 8],
    empty: [],
    docs: [{ a: [1] }],
    bytes: [Buffer.from([1])],
  });
});

Deno.test("every built-in array type is read, with the type of its elements", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  // Without the rows of catalogs, box, which is divided by semicolons, and what only an index holds.
  const types = await test.database.query<{ name: string; array: number; element: number }>`
    select typname as name, typarray as array, oid as element from pg_type
    where oid < 10000 and typarray <> 0 and typtype <> 'c' and typdelim = ','
      and typname <> 'gtsvector'
  `;
  const known = new Map(ARRAY_TYPES);
  assert.deepEqual(types.filter(({ array, element }) => known.get(array) !== element), []);
});

Deno.test("a result says how many rows it has and what its command was, and nothing else", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const { database } = test;
  const inserted = await database.query`insert into entry (id) values (1), (2)`;
  assert.deepEqual([inserted.count, inserted.command, inserted.length], [2, "INSERT", 0]);
  const updated = await database.query`update entry set name = 'a' where id = 1 returning id`;
  assert.deepEqual([updated.count, updated.command, [...updated]], [1, "UPDATE", [{ id: 1 }]]);
  const created = await database.query`create table other ()`;
  assert.deepEqual([created.count, created.command], [0, "CREATE TABLE"]);
  const hidden = Object.getOwnPropertyNames(updated).filter((name) =>
    Reflect.get(updated, name) !== null
  );
  assert.deepEqual(hidden.sort(), ["0", "command", "count", "length"]);
});

for (const [where, run] of Object.entries(TAGS)) {
  Deno.test(`the tag is the same in ${where}`, async () => {
    await using server = await createDatabase();
    await using test = await start(server);
    const { database } = test;
    const names = await run(database, async (sql) => {
      const rows = [{ id: 1, name: "a" }, { id: 2, name: "b" }, { id: 3, name: "c" }];
      const { count } = await sql`insert into ${sql.identifier("entry")} ${sql.rows(rows)}`;
      assert.equal(count, 3);
      const filter = sql.fragment`where id in ${sql.list([1, 2])}`;
      const found: string[] = [];
      for await (
        const batch of sql.stream({ batch: 1 })<{ name: string }>`
          select name from entry ${filter} and id <> ${2}
        `
      ) found.push(...batch.map(({ name }) => name));
      return found;
    });
    assert.deepEqual(names, ["a"]);
    assert.equal(database.poolStats().openedCount, 1);
  });

  Deno.test(`a statement that is never awaited rolls back everything and is named, in ${where}`, async () => {
    await using server = await createDatabase();
    await using test = await start(server);
    const { database } = test;
    const forgets: readonly ((sql: Sql) => unknown)[] = [
      (sql) => void sql`insert into entry (id) values (${1})`,
      (sql) => void [1, 2].map((id) => sql`insert into entry (id) values (${id})`),
      (sql) => [1, 2].map((id) => sql`insert into entry (id) values (${id})`),
      (sql) => ({ kept: sql`insert into entry (id) values (${1})` }),
    ];
    for (const forget of forgets) {
      const work = async (sql: Sql) => {
        if (where !== "withConnection") await sql`insert into entry (id) values (9)`;
        return await forget(sql);
      };
      await assert.rejects(run(database, work), {
        code: "INVALID_USE",
        message: /never awaited.*insert into entry \(id\) values \(\$\)$/,
      });
      assert.deepEqual(await server.admin("select id from entry"), []);
    }
    const all = (sql: Sql) =>
      Promise.all([1, 2].map((id) => sql`insert into entry (id) values (${id})`));
    await run(database, all);
    assert.equal((await server.admin("select id from entry")).length, 2);
  });
}

Deno.test("a transaction begun by hand is rolled back after a statement that is never awaited", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  await assert.rejects(
    test.database.withConnection(async (sql) => {
      await sql`begin`;
      await sql`insert into entry (id) values (1)`;
      void sql`commit`;
    }),
    { code: "INVALID_USE", message: /commit$/ },
  );
  assert.deepEqual(await server.admin("select id from entry"), []);
});

/** How a transaction ends while its savepoint runs, and with what. */
const ENDS_BEFORE_SAVEPOINT: readonly (readonly [RegExp, (tx: Sql) => void])[] = [
  [/savepoint/, () => {}],
  [/never awaited/, (tx) => void tx`select 1`],
  [/^own$/, () => {
    throw new Error("own");
  }],
];

Deno.test("a savepoint that nobody waits for undoes the transaction, and fails with it", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  using unhandled = watchUnhandled();
  for (const [message, end] of ENDS_BEFORE_SAVEPOINT) {
    await assert.rejects(
      test.database.transaction(async (tx) => {
        await tx`insert into entry (id) values (1)`;
        void tx.savepoint(async (tx) => {
          await tx`insert into entry (id) values (2)`;
          await tx`insert into entry (id) values (3)`;
        });
        end(tx);
      }),
      { message },
    );
    assert.deepEqual(await server.admin("select id from entry"), []);
  }
  await test.database.query`select 1`;
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("the error of the work comes before a statement that it has not waited for", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const own = new Error("own");
  await assert.rejects(
    test.database.transaction((tx) => {
      void tx`select 1`;
      throw own;
    }),
    own,
  );
});

Deno.test("a query that is no template is refused", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const { database } = test;
  const refused = { code: "INVALID_USE", message: /must be written as a template/ };
  assert.throws(() => database.query("select 1" as never), refused);
  const forged = Object.assign(["select 1"], { raw: "select 1" }) as unknown;
  await assert.rejects(async () => await database.query(forged as TemplateStringsArray), refused);
});

Deno.test("a COPY is refused before it is sent", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const { database } = test;
  await assert.rejects(database.query`copy entry from stdin`, { code: "INVALID_USE" });
  await assert.rejects(database.withConnection((sql) => sql`copy entry to stdout`), {
    code: "INVALID_USE",
    message: /sql\.rows.*sql\.stream/,
  });
  assert.equal(database.poolStats().openedCount, 1);
});

/** How a loop over a stream of 100 rows, 10 at a time, ends, and how many batches it saw. */
const LEAVES: Readonly<Record<string, (batches: AsyncIterable<unknown>) => Promise<number>>> = {
  async "at its end"(batches) {
    let count = 0;
    for await (const _rows of batches) count++;
    return count;
  },
  async "by break"(batches) {
    for await (const _rows of batches) break;
    return 10;
  },
  async "by an error"(batches) {
    try {
      for await (const _rows of batches) throw new Error("own");
    } catch (error) {
      assert.equal((error as Error).message, "own");
    }
    return 10;
  },
};

for (const [how, read] of Object.entries(LEAVES)) {
  Deno.test(`a stream ends with its loop, ${how}`, async () => {
    await using server = await createDatabase();
    await using test = await start(server);
    const { database } = test;
    const work = (inTransaction: boolean) => async (sql: Sql) => {
      const batches = sql.stream({ batch: 10 })`select generate_series(1, ${100}::int) as id`;
      assert.equal(await read(batches), 10);
      const cursors = await sql`select name from pg_cursors where name like 'stream%'`;
      assert.deepEqual([...cursors], []);
      // Refused outside of a transaction.
      const savepoint = await sql`savepoint here`.then(() => true, () => false);
      assert.equal(savepoint, inTransaction);
    };
    await database.withConnection(work(false));
    await database.transaction(work(true));
    assert.equal(database.poolStats().openedCount, 1);
  });
}

Deno.test("a stream has its rows in order, in batches, also none and exactly full ones", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const read = (count: number, batch: number) =>
    test.database.withConnection(async (sql) => {
      const sizes: number[] = [];
      let last = 0;
      for await (
        const rows of sql.stream({ batch })<{ id: number }>`
          select generate_series(1, ${count}::int) as id
        `
      ) {
        sizes.push(rows.length);
        for (const { id } of rows) assert.equal(id, ++last);
      }
      return sizes;
    });
  assert.deepEqual(await read(0, 10), []);
  assert.deepEqual(await read(10, 10), [10]);
  assert.deepEqual(await read(25, 10), [10, 10, 5]);
});

Deno.test("streams nest, with other statements between their batches", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const pairs = await test.database.withConnection(async (sql) => {
    const pairs: string[] = [];
    for await (
      const outer of sql.stream({ batch: 1 })<{ a: number }>`select generate_series(1, 2) as a`
    ) {
      await sql`insert into entry (id) values (${outer[0]!.a})`;
      for await (
        const inner of sql.stream({ batch: 1 })<{ b: number }>`select generate_series(1, 2) as b`
      ) {
        pairs.push(`${outer[0]!.a}${inner[0]!.b}`);
      }
    }
    return pairs;
  });
  assert.deepEqual(pairs, ["11", "12", "21", "22"]);
  assert.equal((await server.admin("select id from entry")).length, 2);
});

Deno.test("a stream that fails, fails its loop", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const { database } = test;
  const read = async (sql: Sql) => {
    for await (const _rows of sql.stream({ batch: 2 })`select 10 / (5 - generate_series(1, 9))`);
  };
  await assert.rejects(database.withConnection(read), { sqlState: "22012" });
  await assert.rejects(database.transaction(read), { sqlState: "22012" });
  const [row] = await database.query<{ one: number }>`select 1 as one`;
  assert.equal(row?.one, 1);
  assert.equal(database.poolStats().openedCount, 1);
});

Deno.test("a statement that fails in the loop of a stream leaves nothing half done", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const broken = test.database.withConnection(async (sql) => {
    for await (const _rows of sql.stream({ batch: 1 })`select generate_series(1, 3)`) {
      await sql`insert into entry (id) values (1)`;
      await sql`select 1/0`.catch(() => {});
      break;
    }
  });
  await assert.rejects(broken, { code: "TRANSACTION_ABORTED" });
  assert.deepEqual(await server.admin("select id from entry"), []);
});

Deno.test("streams at the same time share a transaction, and none commits what another undoes", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const ends = await test.database.withConnection((sql) => {
    const inserted = Promise.withResolvers<void>();
    const fails = async () => {
      const batches = sql.stream({ batch: 1 })`select 1/(2 - n) from generate_series(1, 2) as n`;
      for await (const _rows of batches) await inserted.promise;
    };
    const failing = fails();
    const insert = async () => {
      for await (const _rows of sql.stream({ batch: 2 })`select 1`) {
        await sql`insert into entry (id) values (1)`;
        inserted.resolve();
        await failing.catch(() => {});
      }
    };
    return Promise.allSettled([insert(), failing]);
  });
  assert.deepEqual(ends.map(({ status }) => status), ["rejected", "rejected"]);
  assert.deepEqual(await server.admin("select id from entry"), []);
});

Deno.test("a stream that was left in the middle is in the way of no other", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const count = async (batches: AsyncIterable<readonly object[]>) => {
    let count = 0;
    for await (const rows of batches) count += rows.length;
    return count;
  };
  const left = await test.database.transaction(async (tx) => {
    const batches = tx.stream({ batch: 1 })`select generate_series(1, 3)`;
    const left = batches[Symbol.asyncIterator]();
    await left.next();
    await assert.rejects(tx.savepoint(() => left.next()), { code: "INVALID_USE" });
    assert.equal(await count(batches), 3);
    assert.equal(await count(batches), 3);
    return batches[Symbol.asyncIterator]();
  });
  await assert.rejects(left.next(), { code: "INVALID_USE" });
  await test.database.withConnection(async (sql) => {
    const broken = sql.stream({ batch: 1 })`select 1/0`;
    await sql`begin`;
    await assert.rejects(count(broken), { sqlState: "22012" });
    await sql`rollback`;
    assert.equal(await count(sql.stream({ batch: 1 })`select 1`), 1);
  });
});

Deno.test("an operation that is aborted ends its stream", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const abort = new AbortController();
  const read = test.database.withConnection(async (sql) => {
    for await (const _rows of sql.stream({ batch: 1 })`select generate_series(1, 1000000)`) {
      abort.abort();
    }
  }, { signal: abort.signal });
  await assert.rejects(read, { code: "ABORTED" });
  const [row] = await test.database.query<{ one: number }>`select 1 as one`;
  assert.equal(row?.one, 1);
});

Deno.test("a stream leaves no prepared statement behind", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  const prepared = await test.database.withConnection(async (sql) => {
    for (let turn = 0; turn < 3; turn++) {
      for await (const _rows of sql.stream({ batch: 5 })`select generate_series(1, ${9}::int)`);
    }
    return await sql<{ statement: string }>`select statement from pg_prepared_statements`;
  });
  const left = prepared.filter(({ statement }) => /stream/.test(statement));
  assert.deepEqual(left, []);
});

Deno.test("lists and rows of every length leave few statements prepared, and none that is long", async () => {
  await using server = await createDatabase();
  await using test = await start(server);
  await test.database.withConnection(async (sql) => {
    const ids = Array.from({ length: 2000 }, (_, index) => index);
    await sql`insert into entry ${sql.rows(ids.map((id) => ({ id, name: "a" })))}`;
    for (let length = 1; length <= 300; length++) {
      const { count } = await sql`select from entry where id in ${sql.list(ids.slice(0, length))}`;
      assert.equal(count, length);
    }
    await sql`select 'prepared all the same'`;
    const kept = await sql<{ statement: string }>`select statement from pg_prepared_statements`;
    const texts = kept.map(({ statement }) => statement);
    assert.equal(texts.filter((text) => text.includes(" in (")).length, 256);
    assert.ok(texts.includes("select 'prepared all the same'"));
    assert.deepEqual(texts.filter((text) => text.length > 10_000), []);
  });
});

pgBouncerTest("a stream and arrays work through a pooler in transaction mode", async () => {
  await using server = await startPostgres();
  await using bouncer = await startPgBouncer(server, "transaction");
  await using test = await start(server, bouncer.config({ maxConnections: 4 }));
  const read = () =>
    test.database.withConnection(async (sql) => {
      let count = 0;
      for await (
        const rows of sql.stream({ batch: 7 })`
          select one from unnest(${Array.from({ length: 50 }, (_, index) => index)}::int[]) as one
        `
      ) count += rows.length;
      return count;
    });
  assert.deepEqual(await Promise.all([read(), read(), read(), read()]), [50, 50, 50, 50]);
});
