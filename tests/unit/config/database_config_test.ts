import assert from "node:assert/strict";
import {
  ConfigError,
  type DatabaseConfig,
  databaseConfig,
  type DatabaseOverrides,
  loadConfig,
  Secret,
} from "../../../src/config/mod.ts";
import { pem, tlsPath } from "../../support/tls_files.ts";

const URL_OF_LEDGER = "postgresql://ada:hunter2@db.internal:5433/ledger?sslmode=require";

/** Every field with another value than its default. */
const EVERYTHING: DatabaseConfig = {
  hosts: [{ host: "a.internal", port: 1 }, { host: "::1", port: 65_535 }],
  readHosts: [{ host: "b.internal", port: 5432 }, { host: "::2", port: 2 }],
  database: "ledger",
  user: "ada",
  password: new Secret("pass word"),
  passwordFile: undefined,
  schema: "books",
  tls: {
    mode: "verify-full",
    rootCert: pem("ca"),
    cert: pem("client"),
    key: new Secret(pem("client-key")),
  },
  applicationName: "ledger-service",
  options: "-c statement_timeout=30s",
  targetSessionAttrs: "primary",
  pooler: "none",
  connectTimeoutMs: 1,
  keepAlives: false,
  keepAlivesIdleMs: 0,
  maxConnections: 10,
  serviceInstances: 3,
  maxIdleConnections: 9,
  minIdleConnections: 8,
  maxConnecting: 7,
  connectionMaxLifetimeMs: 0,
  connectionMaxIdleTimeMs: 60_001,
  acquireTimeoutMs: 1_234,
  acquireQueueLimit: 0,
  idleCheckAfterMs: 0,
  leakWarningAfterMs: 10,
  pingTimeoutMs: 333,
  circuitFailureThreshold: 2,
  retryInitialDelayMs: 100,
  retryMaxDelayMs: 101,
  authRetryDelayMs: 5_000,
  migrateOnStart: true,
  migrator: { user: "mia", password: new Secret("other"), passwordFile: undefined },
};

function problemsOf(url: string | URL, overrides: DatabaseOverrides = {}): Record<string, string> {
  try {
    databaseConfig(url, overrides);
  } catch (error) {
    assert(error instanceof ConfigError);
    return Object.fromEntries(error.problems.map(({ setting, problem }) => [setting, problem]));
  }
  assert.fail("there is no problem");
}

/** With secrets in plain text, because two of them are equal to `assert` whatever they hold. */
function revealed(config: DatabaseConfig): unknown {
  return JSON.parse(JSON.stringify(config, function (key, value) {
    const original = this[key];
    return original instanceof Secret ? original.reveal() : value;
  }));
}

Deno.test("what the URL does not say has the defaults of the settings", () => {
  const { database } = loadConfig({ env: { DATABASE_URL: URL_OF_LEDGER } });
  assert.deepEqual(revealed(databaseConfig(URL_OF_LEDGER)), revealed(database));
  assert.deepEqual(revealed(databaseConfig(new URL(URL_OF_LEDGER))), revealed(database));
});

Deno.test("every field can be overridden", () => {
  const config = databaseConfig(URL_OF_LEDGER, EVERYTHING);
  assert.deepEqual(revealed(config), revealed(EVERYTHING));
  assert.deepEqual(Object.keys(config).toSorted(), Object.keys(EVERYTHING).toSorted());
});

Deno.test("an override that is undefined changes nothing", () => {
  const nothing = Object.fromEntries(Object.keys(EVERYTHING).map((field) => [field, undefined]));
  const config = databaseConfig(URL_OF_LEDGER, nothing);
  assert.deepEqual(revealed(config), revealed(databaseConfig(URL_OF_LEDGER)));
});

Deno.test("a password may be given as text or as a file", async () => {
  assert.equal(databaseConfig(URL_OF_LEDGER, { password: "new" }).password?.reveal(), "new");
  const passwordFile = await Deno.makeTempFile();
  await Deno.writeTextFile(passwordFile, "of a file\n");
  try {
    const config = databaseConfig(URL_OF_LEDGER, { passwordFile });
    assert.equal(config.passwordFile, passwordFile);
    assert.equal(config.password?.reveal(), "of a file");
  } finally {
    await Deno.remove(passwordFile);
  }
});

Deno.test("the URL's TLS files and the certificates of overrides go together", () => {
  const url = `postgresql://db/ledger?sslmode=verify-ca&sslrootcert=${tlsPath("ca")}`;
  const { tls } = databaseConfig(url, { tls: { mode: "verify-full" } });
  assert.equal(tls.mode, "verify-full");
  assert.equal(tls.rootCert, pem("ca"));
  const system = databaseConfig(url, { tls: { mode: "verify-full", rootCert: "system" } });
  assert.equal(system.tls.rootCert, undefined);
});

Deno.test("the default of one field follows an override of another", () => {
  assert.equal(databaseConfig(URL_OF_LEDGER, { maxConnections: 2 }).maxIdleConnections, 2);
});

Deno.test("problems have the names of fields, and durations are in milliseconds", () => {
  assert.deepEqual(
    problemsOf(URL_OF_LEDGER, {
      maxConnections: 0,
      acquireTimeoutMs: 0.5,
      connectionMaxLifetimeMs: Number.NaN,
      pooler: "pgpool" as "session",
      hosts: [],
      password: "",
      maxConnection: 3,
    } as DatabaseOverrides),
    {
      maxConnections: "0 is too small",
      acquireTimeoutMs: "0.5 is less than a millisecond",
      connectionMaxLifetimeMs: "NaN is not a number of milliseconds",
      pooler: "pgpool is not one of the allowed words",
      hosts: "is empty",
      password: "is empty",
      maxConnection: "is not an option",
    },
  );
  assert.match(
    problemsOf(URL_OF_LEDGER, { maxConnections: 2, maxIdleConnections: 3 }).maxIdleConnections!,
    /maxConnections, which is 2/,
  );
  assert.match(
    problemsOf(URL_OF_LEDGER, { tls: { mode: "verify-full" } })["tls.rootCert"]!,
    /tls\.mode verify-full/,
  );
});

Deno.test("an error shows nothing of a URL", () => {
  for (
    const url of [
      "",
      "mysql://ada:hunter2@db/ledger",
      "postgresql://ada:hunter2@db:port/ledger",
      "postgresql://ada:hunter2/@db/ledger",
      "postgresql://ada:hunter2@db/ledger?sslmode=hunter2@",
      "postgresql://ada:hunter2@db/ledger?secret=hunter2",
    ]
  ) {
    assert.throws(() => databaseConfig(url), (error) => {
      assert(error instanceof ConfigError);
      assert.equal(error.problems[0]?.setting, "url");
      assert.doesNotMatch(`${error.message} ${Deno.inspect(error)}`, /hunter2|ada:/);
      return true;
    });
  }
  const overrides = {
    user: "postgresql://ada:hunter2@db/ledger".repeat(3),
    database: "x".repeat(64),
  };
  assert.doesNotMatch(JSON.stringify(problemsOf(URL_OF_LEDGER, overrides)), /hunter2/);
});
