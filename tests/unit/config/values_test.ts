import assert from "node:assert/strict";
import { settings } from "../../../src/config/settings.ts";
import { problemsOf } from "./problems_of.ts";

type Case = readonly [name: keyof typeof settings, text: string, value: unknown];

const accepted: readonly Case[] = [
  ["DB_HOST", "db_1.internal., 10.0.0.1,::1", ["db_1.internal.", "10.0.0.1", "::1"]],
  ["DB_PORT", "1,,65535", [1, undefined, 65535]],
  ["DB_READ_HOSTS", "db2, db3:6432,[::1]:1,::1", [
    { host: "db2", port: undefined },
    { host: "db3", port: 6432 },
    { host: "::1", port: 1 },
    { host: "::1", port: undefined },
  ]],
  ["DB_CONNECT_TIMEOUT", "2147483", 2_147_483_000],
  ["DB_CONNECT_TIMEOUT", "0.0015", 2],
  ["DB_KEEPALIVES", "FALSE", false],
  ["DB_NAME", "ö".repeat(31), "ö".repeat(31)],
  ["SERVER_HOST", "[::]", "::"],
  ["CORS_ALLOWED_ORIGINS", "HTTPS://App.Example.com:443, http://localhost:5173", [
    "https://app.example.com",
    "http://localhost:5173",
  ]],
  [
    "HEALTH_GRPC_DEPENDENCIES",
    "ledger-service=http://localhost:50051, fx=https://fx.internal:443?critical=false&service=fx.v1.Rates,six=http://[::1]:1/",
    [
      { name: "ledger-service", url: "http://localhost:50051", critical: true, service: "" },
      { name: "fx", url: "https://fx.internal", critical: false, service: "fx.v1.Rates" },
      { name: "six", url: "http://[::1]:1", critical: true, service: "" },
    ],
  ],
];

for (const [name, text, value] of accepted) {
  Deno.test(`${name} takes ${text.slice(0, 40)}`, () => {
    assert.deepEqual(settings[name].type.schema.parse(text), value);
  });
}

const refused: readonly (readonly [name: keyof typeof settings, text: string, ...string[]])[] = [
  ["DB_HOST", "db1,,db2", '"db1,,db2" has an empty host'],
  ["DB_HOST", "db1:5432", '"db1:5432" contains a port, which has its own setting'],
  [
    "DB_HOST",
    "/run/postgresql",
    '"/run/postgresql" is a Unix socket directory, which is not supported',
  ],
  ["DB_HOST", "postgres://a:b@c", "the value is not a host name or IP address"],
  ["DB_READ_HOSTS", "db2,", '"db2," has an empty host'],
  ["DB_READ_HOSTS", "db2:0", '"db2:0" has a port that is not from 1 to 65535'],
  ["DB_READ_HOSTS", "db2:x", '"db2:x" is not a host name or IP address'],
  ["DB_PORT", "0", '"0" is not from 1 to 65535'],
  ["DB_PORT", "65536", '"65536" is not from 1 to 65535'],
  ["DB_PORT", "1e3", '"1e3" is not a whole number'],
  ["DB_MAX_CONNECTIONS", "2.5", '"2.5" is not a whole number'],
  ["DB_MAX_CONNECTIONS", "-1", '"-1" is not a whole number'],
  ["DB_CONNECT_TIMEOUT", "0", '"0" is less than a millisecond'],
  ["DB_CONNECTION_MAX_LIFETIME", "0.0001", '"0.0001" is less than a millisecond'],
  ["DB_CONNECTION_MAX_LIFETIME", "2147484", '"2147484" is too long'],
  ["DB_CONNECTION_MAX_LIFETIME", "1h", '"1h" is not a number of seconds'],
  ["DB_KEEPALIVES", "maybe", '"maybe" is neither true nor false'],
  ["DB_NAME", "ö".repeat(32), `"${"ö".repeat(32)}" is longer than 63 bytes`],
  ["DB_SCHEMA", "a,b", '"a,b" contains more than one schema'],
  ["SERVER_HOST", "not a host", '"not a host" is not a host name or IP address'],
  [
    "CORS_ALLOWED_ORIGINS",
    "https://a.example,https://b.example/path",
    "the value has an entry that is not an origin (entry 2)",
  ],
  [
    "CORS_ALLOWED_ORIGINS",
    "https://ann:b@a.example,*,ftp://a.example",
    "the value has an entry that is not an origin (entry 1)",
    "the value has an entry that is not an origin (entry 2)",
    "the value has an entry that is not an origin (entry 3)",
  ],
  ["METRICS_ADDR", "9464", '"9464" is not host:port'],
  ["METRICS_ADDR", "::1:9464", '"::1:9464" is not host:port'],
  ["METRICS_ADDR", "a:70000", '"a:70000" has a port that is not from 0 to 65535'],
  ["METRICS_ADDR", ":9464", '":9464" has an empty host'],
  [
    "HEALTH_GRPC_DEPENDENCIES",
    "a=http://a:1,http://b:2,c",
    "the value has an entry that is not name=url (entry 2)",
    "the value has an entry that is not name=url (entry 3)",
  ],
  [
    "HEALTH_GRPC_DEPENDENCIES",
    "a=http://ann@a:1,b=http://b:1#c",
    "the value has a URL with credentials (entry 1)",
    "the value has a URL with a path (entry 2)",
  ],
  [
    "HEALTH_GRPC_DEPENDENCIES",
    "a=http://a:1,a=http://b:1",
    "the value has a duplicate name (entry 2)",
  ],
  [
    "HEALTH_GRPC_DEPENDENCIES",
    "postgresql-primary=http://a:1",
    "the value uses the reserved name postgresql-primary (entry 1)",
  ],
  [
    "HEALTH_GRPC_DEPENDENCIES",
    "a b=ftp://ann:b@a:1/path?critical=maybe&service=a/b&x=1",
    "the value has a name with characters other than letters, digits, '.', '_' and '-' (entry 1)",
    "the value has a URL that is not http or https (entry 1)",
    "the value has a URL with credentials (entry 1)",
    "the value has a URL with a path (entry 1)",
    "the value has a URL parameter other than critical and service (entry 1)",
    "the value has a critical parameter that is neither true nor false (entry 1)",
    "the value has a service parameter that is not a gRPC service name (entry 1)",
  ],
];

for (const [name, text, ...problems] of refused) {
  Deno.test(`${name} refuses ${text.slice(0, 40)}`, () => {
    assert.deepEqual(
      problemsOf({ [name]: text }).map(({ setting, problem }) => ({ setting, problem })),
      problems.map((problem) => ({ setting: name, problem })),
    );
  });
}

Deno.test("every default and example is valid", () => {
  for (const [name, setting] of Object.entries(settings)) {
    const text = "default" in setting ? setting.default : setting.example;
    assert(setting.type.schema.safeParse(text).success, `${name}=${text}`);
  }
});
