import assert from "node:assert/strict";
import { inspect } from "node:util";
import { serialize } from "node:v8";
import pino from "pino";
import { loadConfig, Secret } from "../../../src/config/mod.ts";
import { errorOf, readFrom } from "./problems_of.ts";

const fixture = (name: string) => new URL(`../../support/tls/${name}`, import.meta.url).pathname;
const PASSWORD = "hunter2";
const KEY_TEXT = Deno.readTextFileSync(fixture("server-key.pem")).split("\n")[1]!;

/** A configuration with all three kinds of secrets. */
function configWithSecrets() {
  return loadConfig({
    env: {
      DATABASE_URL: `postgresql://ann:${PASSWORD}@db1/ledger`,
      DB_SSL_CERT: fixture("client.pem"),
      DB_SSL_KEY: fixture("client-key.pem"),
      TLS_CERT_FILE: fixture("server.pem"),
      TLS_KEY_FILE: fixture("server-key.pem"),
    },
  });
}

function assertNoSecret(text: string) {
  for (const secret of [PASSWORD, KEY_TEXT, "PRIVATE KEY", "postgresql://"]) {
    assert(!text.includes(secret), `a secret shows in: ${text}`);
  }
}

const config = configWithSecrets();
const printers: Record<string, (value: NonNullable<unknown>) => string> = {
  "String": (value) => String(value),
  "a template": (value) => `${value}`,
  "JSON.stringify": (value) => JSON.stringify(value) ?? "",
  "Deno.inspect": (value) => Deno.inspect(value, { depth: 20, showHidden: true, getters: true }),
  "util.inspect": (value) => inspect(value, { depth: 20, showHidden: true, getters: true }),
  "util.inspect without custom functions": (value) => {
    return inspect(value, { depth: 20, showHidden: true, customInspect: false });
  },
  "structuredClone": (value) => Deno.inspect(structuredClone(value), { depth: 20 }),
  "v8.serialize": (value) => serialize(value).toString("latin1"),
  "pino": (value) => {
    let output = "";
    pino({}, { write: (line: string) => output += line }).info({ value }, "value %o", value);
    return output;
  },
  "an error's cause": (value) => Deno.inspect(new Error("outer", { cause: value })),
};

for (const [title, print] of Object.entries(printers)) {
  Deno.test(`no secret shows through ${title}`, () => {
    assertNoSecret(print(config));
    assertNoSecret(print(config.database));
    assertNoSecret(print(config.database.password!));
    assertNoSecret(print(new Secret(PASSWORD)));
    assertNoSecret(print({ nested: [new Secret(PASSWORD)] }));
  });
}

Deno.test("no secret shows in what a process prints, nor in its uncaught error", async () => {
  const module = new URL("../../../src/config/mod.ts", import.meta.url).href;
  const source = `import { loadConfig } from ${JSON.stringify(module)};
    const config = loadConfig({ env: { DB_PASSWORD: ${JSON.stringify(PASSWORD)} } });
    const { password } = config.database;
    console.log("printed", config, password, password + "");
    console.log("%o %O %s %j", password, password, password, password);
    console.table([{ password }]);
    throw Object.assign(new Error("uncaught", { cause: config }), { config, password });`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--config", new URL("../../../deno.json", import.meta.url).pathname, source],
  }).output();
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  assert.match(output, /printed/);
  assert.match(output, /\[redacted\]/);
  assert.match(output, /uncaught/);
  assertNoSecret(output);
});

const file = (content: string) => ({
  envFile: ".env",
  readTextFile: readFrom({ ".env": content, "/secret": `${PASSWORD} ${PASSWORD}` }),
});
const uri = (rest: string) => ({ env: { DATABASE_URL: `postgresql://ann:${PASSWORD}${rest}` } });

for (
  const [title, options] of [
    ["a connection string with a raw @", uri("@@db1")],
    ["a connection string with a bad escape", uri("%zz@db1")],
    ["a connection string with a bad port", uri("@db1:port")],
    ["a connection string with an unknown parameter", uri(`@db1?${PASSWORD}=1`)],
    ["a connection string with a bad value", uri(`@db1?sslmode=${PASSWORD}`)],
    ["a connection string of another kind", { env: { DATABASE_URL: `mysql://a:${PASSWORD}@b` } }],
    ["a broken connection string in .env", { env: {}, ...file(`DATABASE_URL=x://${PASSWORD}`) }],
    ["a connection string in place of a host", {
      env: { DB_HOST: `postgresql://a:${PASSWORD}@b` },
    }],
    ["a password in place of its file", { env: { DB_PASSWORD_FILE: PASSWORD } }],
    ["a key in place of its file", { env: { TLS_CERT_FILE: "x", TLS_KEY_FILE: KEY_TEXT } }],
    [
      "a password next to its file",
      { env: { DB_PASSWORD: PASSWORD, DB_PASSWORD_FILE: "/secret" }, ...file("") },
    ],
    [
      "credentials of a dependency",
      { env: { HEALTH_GRPC_DEPENDENCIES: `a=http://a:${PASSWORD}@a:1` } },
    ],
    ["credentials in an origin", { env: { CORS_ALLOWED_ORIGINS: `https://a:${PASSWORD}@a` } }],
    ["a misspelled name in .env", { env: {}, ...file(`DB_PASWORD=${PASSWORD}`) }],
  ] as const
) {
  Deno.test(`no secret shows in the problem of ${title}`, () => {
    const error = errorOf(options);
    const print = (value: unknown) => inspect(value, { depth: 20, showHidden: true });
    for (const text of [error.message, error.stack ?? "", print(error), Deno.inspect(error)]) {
      assert(!text.includes(PASSWORD), text);
      assert(!text.includes(KEY_TEXT), text);
    }
  });
}

Deno.test("the password can still be had by asking", () => {
  assert.equal(config.database.password?.reveal(), PASSWORD);
});
