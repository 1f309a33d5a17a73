import assert from "node:assert/strict";
import {
  connectionParameters,
  ConnectionUriError,
  parseConnectionUri,
} from "../../../src/config/connection_uri.ts";
import { loadConfig } from "../../../src/config/mod.ts";
import { settingNames, settingOf } from "../../../src/config/settings.ts";

const accepted: readonly [title: string, uri: string, parameters: Record<string, string>][] = [
  [
    "the specification's form",
    "postgresql://user:password@host:5433/database?sslmode=disable&search_path=schema",
    {
      user: "user",
      password: "password",
      host: "host",
      port: "5433",
      dbname: "database",
      sslmode: "disable",
      search_path: "schema",
    },
  ],
  ["nothing but the scheme", "postgresql://", {}],
  ["the short scheme", "postgres://db1", { host: "db1" }],
  ["only a database", "postgresql:///ledger", { dbname: "ledger" }],
  ["only a port", "postgresql://:5433/", { port: "5433" }],
  ["only a user", "postgresql://ann@/", { user: "ann" }],
  ["an empty password", "postgresql://ann:@db1", { user: "ann", host: "db1" }],
  ["only a password", "postgresql://:hunter2@db1", { password: "hunter2", host: "db1" }],
  [
    "a percent-encoded password",
    "postgresql://ann%20lee:p%40s%3As%2Fw%25%C3%B6@db1/a%2Fb",
    { user: "ann lee", password: "p@s:s/w%ö", host: "db1", dbname: "a/b" },
  ],
  [
    "characters that need no encoding",
    "postgresql://ann:a:b?c=d&e#f+g@db1",
    { user: "ann", password: "a:b?c=d&e#f+g", host: "db1" },
  ],
  ["IPv6", "postgresql://[2001:db8::1]:5433/", { host: "2001:db8::1", port: "5433" }],
  ["IPv6 without a port", "postgresql://ann@[::1]", { user: "ann", host: "::1" }],
  [
    "several hosts",
    "postgresql://ann@db1:1,[::1]:2,db3:3/ledger",
    { user: "ann", host: "db1,::1,db3", port: "1,2,3", dbname: "ledger" },
  ],
  ["several hosts, some ports", "postgresql://db1,db2:2", { host: "db1,db2", port: ",2" }],
  ["several hosts, no ports", "postgresql://db1,db2", { host: "db1,db2" }],
  [
    "parameters that win over parts",
    "postgresql://ann:a@db1:1/x?user=bob&password=b%26c&host=db2&port=2&dbname=y",
    { user: "bob", password: "b&c", host: "db2", port: "2", dbname: "y" },
  ],
  ["the last of two equal parameters", "postgresql://?port=1&port=2", { port: "2" }],
  ["parameters right after a host", "postgresql://db1?options=-c%20geqo%3Doff", {
    host: "db1",
    options: "-c geqo=off",
  }],
  ["an empty query", "postgresql://db1/ledger?", { host: "db1", dbname: "ledger" }],
];

for (const [title, uri, parameters] of accepted) {
  Deno.test(`connection string with ${title}`, () => {
    assert.deepEqual(Object.fromEntries(parseConnectionUri(uri)), parameters);
  });
}

const refused: readonly [title: string, uri: string, message: RegExp][] = [
  ["no scheme", "ann:hunter2@db1/ledger", /does not start with postgresql:\/\//],
  ["another scheme", "mysql://ann:hunter2@db1", /does not start with postgresql:\/\//],
  ["a scheme in capitals", "POSTGRESQL://ann:hunter2@db1", /does not start with/],
  ["a raw @ in the password", "postgresql://ann:hun@ter2@db1", /more than one @.*percent-encoded/],
  ["a raw / in the password", "postgresql://ann:hunter2/x@db1", /@ after a \/.*percent-encoded/],
  ["a raw / after digits in the password", "postgresql://ann:12/hunter2@db1", /@ after a \//],
  ["a raw % in the password", "postgresql://ann:hunter2%@db1", /percent-encoding in its password/],
  ["a bad escape in the user", "postgresql://hunter2%zz@db1", /percent-encoding in its user/],
  ["a bad escape in a host", "postgresql://db1,hunter2%z", /percent-encoding in its host 2/],
  ["a bad escape in the database", "postgresql:///hunter2%z", /in its database name/],
  ["a bad escape in a parameter", "postgresql://?user=hunter2%z", /percent-encoding in its user/],
  ["bytes that are not UTF-8", "postgresql://hunter2%ff@db1", /percent-encoding in its user/],
  ["a zero byte", "postgresql://ann:hunter2%00@db1", /percent-encoding in its password/],
  ["a port that is no number", "postgresql://db1:1,db2:hunter2", /port.*\(host 2\)/],
  ["IPv6 without brackets", "postgresql://2001:db8::1/", /IPv6 address without brackets/],
  ["brackets left open", "postgresql://[::1/hunter2", /IPv6 address without brackets \(host 1\)/],
  ["empty brackets", "postgresql://[]/hunter2", /IPv6 address without brackets/],
  ["an unknown parameter", "postgresql://db1?hunter2=x", /known: host, port, .*search_path$/],
  ["a parameter without value", "postgresql://db1?sslmode=require&hunter2", /\(parameter 2\)/],
  ["a parameter with two values", "postgresql://db1?user=hunter2=x", /not name=value/],
];

for (const [title, uri, message] of refused) {
  Deno.test(`connection string refused: ${title}`, () => {
    assert.throws(() => parseConnectionUri(uri), (error: unknown) => {
      assert(error instanceof ConnectionUriError);
      assert.match(error.message, message);
      assert.doesNotMatch(Deno.inspect(error), /hun.?ter2/);
      return true;
    });
  });
}

Deno.test("every parameter of a connection string belongs to exactly one setting", () => {
  const owned = settingNames.map((name) => settingOf(name).parameter).filter(Boolean);
  assert.deepEqual(owned.sort(), [...connectionParameters].sort());
});

Deno.test("a connection string reaches the configuration", () => {
  const uri = "postgresql://ann:p%40ss@[::1]:1,db2/ledger?sslmode=require&search_path=app" +
    "&connect_timeout=2&application_name=a&options=-c%20x%3D1&target_session_attrs=standby" +
    "&keepalives=0&keepalives_idle=9";
  const { database } = loadConfig({ env: { DATABASE_URL: uri } });
  assert.deepEqual(database.hosts, [{ host: "::1", port: 1 }, { host: "db2", port: 5432 }]);
  assert.equal(database.user, "ann");
  assert.equal(database.password?.reveal(), "p@ss");
  assert.equal(database.database, "ledger");
  assert.equal(database.schema, "app");
  assert.equal(database.tls.mode, "require");
  assert.equal(database.connectTimeoutMs, 2_000);
  assert.equal(database.applicationName, "a");
  assert.equal(database.options, "-c x=1");
  assert.equal(database.targetSessionAttrs, "standby");
  assert.equal(database.keepAlives, false);
  assert.equal(database.keepAlivesIdleMs, 9_000);
});
