import assert from "node:assert/strict";
import { type DatabaseConfig, type DatabaseTlsConfig, Secret } from "../../src/config/mod.ts";
import {
  connect,
  type Connection,
  DatabaseError,
  DatabaseManager,
} from "../../src/database/mod.ts";
import { Metrics } from "../../src/telemetry/metrics/mod.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { fakeServer } from "../support/database_support.ts";
import { certificate, DebianServer, whyNoDebianServer } from "../support/database_debian_server.ts";
import { testUnless } from "../support/requirement.ts";
import { Scrape } from "../support/scrape.ts";

const PASSWORD = "tls-test-password";
/** Roles by what pg_hba.conf allows them, and the one that logs in with its certificate. */
const ROLES = ["any_user", "tls_user", "plain_user", "treasury_user"] as const;
const HBA = [
  "host    all any_user      127.0.0.1/32 scram-sha-256",
  "hostssl all tls_user      127.0.0.1/32 scram-sha-256",
  "hostnossl all plain_user  127.0.0.1/32 scram-sha-256",
  "hostssl all treasury_user 127.0.0.1/32 cert",
];
const SETUP = [
  ...ROLES.map((role) => `create role ${role} login password '${PASSWORD}'`),
  "create database treasury_db",
];

interface Attempt {
  readonly mode: DatabaseTlsConfig["mode"];
  readonly user: (typeof ROLES)[number];
  readonly host?: string;
  readonly root?: string;
  readonly withClientCertificate?: boolean;
}

const base: DatabaseConfig = await (async () => {
  await using server = await startPostgres();
  return server.config();
})();

function configOf(server: DebianServer, attempt: Attempt): DatabaseConfig {
  const { mode, user, host = "127.0.0.1", root, withClientCertificate = false } = attempt;
  return {
    ...base,
    hosts: [{ host, port: server.port }],
    user,
    password: new Secret(PASSWORD),
    tls: {
      mode,
      rootCert: root && certificate(root),
      cert: withClientCertificate ? certificate("client.pem") : undefined,
      key: withClientCertificate ? new Secret(certificate("client-key.pem")) : undefined,
    },
  };
}

async function isEncrypted(connection: Connection): Promise<boolean> {
  const [row] = await connection.sql<{ ssl: boolean }>`
    select ssl from pg_stat_ssl where pid = pg_backend_pid()
  `;
  return row?.ssl === true;
}

/** `tls` and `plain` for a session of that kind, else the code of the error. */
async function outcome(config: DatabaseConfig): Promise<string> {
  try {
    await using connection = await connect(config);
    return await isEncrypted(connection) ? "tls" : "plain";
  } catch (error) {
    assert.ok(error instanceof DatabaseError);
    return error.code;
  }
}

/** Accepts and closes, at once or when asked for TLS or in the handshake. */
const LOSSES: readonly ((connection: Deno.Conn) => unknown)[] = [
  (connection) => connection.close(),
  async (connection) => {
    await connection.read(new Uint8Array(1024));
    connection.close();
  },
  async (connection) => {
    await connection.read(new Uint8Array(1024));
    await connection.write(new TextEncoder().encode("S"));
    await connection.read(new Uint8Array(1024));
    connection.close();
  },
];

/** What libpq's documentation promises (table 34.1, "SSL Mode Descriptions"). */
const EXPECTED: readonly (readonly [string, Attempt, string])[] = [
  ["disable never encrypts", { mode: "disable", user: "any_user" }, "plain"],
  ["disable is refused", { mode: "disable", user: "tls_user" }, "AUTHENTICATION_FAILED"],
  ["allow prefers plain", { mode: "allow", user: "any_user" }, "plain"],
  ["allow encrypts when asked to", { mode: "allow", user: "tls_user" }, "tls"],
  ["prefer encrypts", { mode: "prefer", user: "any_user" }, "tls"],
  ["prefer falls back", { mode: "prefer", user: "plain_user" }, "plain"],
  ["require encrypts", { mode: "require", user: "any_user" }, "tls"],
  ["require does not fall back", { mode: "require", user: "plain_user" }, "AUTHENTICATION_FAILED"],
  [
    "require checks the authority when it has one",
    { mode: "require", user: "any_user", root: "other-ca.pem" },
    "TLS_FAILED",
  ],
  [
    "verify-ca accepts the authority",
    { mode: "verify-ca", user: "any_user", root: "ca.pem" },
    "tls",
  ],
  [
    "verify-ca refuses another authority",
    { mode: "verify-ca", user: "any_user", root: "other-ca.pem" },
    "TLS_FAILED",
  ],
  [
    "verify-full accepts an address in the certificate",
    { mode: "verify-full", user: "any_user", root: "ca.pem" },
    "tls",
  ],
  [
    "verify-full accepts a name in the certificate",
    { mode: "verify-full", user: "any_user", root: "ca.pem", host: "localhost" },
    "tls",
  ],
  [
    "verify-full refuses an address that is not in it",
    { mode: "verify-full", user: "any_user", root: "ca.pem", host: "127.0.0.2" },
    "TLS_FAILED",
  ],
  [
    "verify-ca does not look at the name",
    { mode: "verify-ca", user: "any_user", root: "ca.pem", host: "127.0.0.2" },
    "tls",
  ],
  [
    "verify-full refuses another authority",
    { mode: "verify-full", user: "any_user", root: "other-ca.pem" },
    "TLS_FAILED",
  ],
  [
    "verify-full refuses what no public authority has signed",
    { mode: "verify-full", user: "any_user" },
    "TLS_FAILED",
  ],
  [
    "a client certificate logs in",
    { mode: "verify-full", user: "treasury_user", root: "ca.pem", withClientCertificate: true },
    "tls",
  ],
  [
    "a missing client certificate is refused",
    { mode: "verify-full", user: "treasury_user", root: "ca.pem" },
    "AUTHENTICATION_FAILED",
  ],
];

testUnless(
  whyNoDebianServer(),
  "sslmode means what it means in libpq",
  async (t) => {
    await using server = await DebianServer.start(base, { hba: HBA, setup: SETUP });
    for (const [name, attempt, expected] of EXPECTED) {
      await t.step(name, async () => {
        assert.equal(await outcome(configOf(server, attempt)), expected);
      });
    }

    const config = configOf(server, { mode: "require", user: "any_user" });
    await t.step("a connection that is lost while TLS begins costs no other host", async () => {
      for (const serve of LOSSES) {
        using closing = fakeServer(serve);
        const lost = { ...config, hosts: [{ host: "127.0.0.1", port: closing.port }] };
        await assert.rejects(connect(lost), { code: "CONNECTION_LOST", retryable: true });
        assert.equal(closing.accepted, 1);
        assert.equal(await outcome({ ...lost, hosts: [...lost.hosts, ...config.hosts] }), "tls");
      }
    });
    await t.step(
      "it is seen when the server's certificate expires, however it is trusted",
      async () => {
        const expiries: Date[] = [];
        const onCertificate = (expiresAt: Date) => void expiries.push(expiresAt);
        for (const mode of ["disable", "require", "verify-full"] as const) {
          const attempt = configOf(server, { mode, user: "any_user", root: "ca.pem" });
          await using _connection = await connect(attempt, { onCertificate });
        }
        const refused = configOf(server, { mode: "require", user: "plain_user" });
        await assert.rejects(connect(refused, { onCertificate }));
        assert.deepEqual(expiries, Array(3).fill(new Date("2124-01-01")));
      },
    );
    await t.step("the metrics have it for each pool, and not before it was seen", async () => {
      using metrics = new Metrics({ version: "0.0.0-test", runtime: "safe" });
      const log = () => {};
      await using database = new DatabaseManager({ ...config, readHosts: config.hosts }, {
        logger: { info: log, warn: log, error: log },
        observer: metrics.databaseObserver,
      });
      const name = "treasury_tls_certificate_expiry_seconds";
      const series = async () =>
        new Scrape((await metrics.expose(null)).text).families.get(name)?.samples
          .map(({ labels, value }) => [labels.certificate, value]);
      assert.deepEqual(await series(), []);
      database.start();
      const expiry = Date.UTC(2124, 0, 1) / 1000;
      await eventually(async () => (await series())?.length === 2);
      assert.deepEqual((await series())?.sort(), [
        ["database", expiry],
        ["database_read", expiry],
      ]);
    });
    await t.step("it is seen whether a transaction is open", async () => {
      await using connection = await connect(config);
      await connection.sql`begin`;
      assert.equal(connection.isInTransaction, true);
      await connection.sql`commit`;
      assert.equal(connection.isInTransaction, false);
    });
    const sessions = async () => {
      await using connection = await connect({ ...config, user: "postgres" });
      const [row] = await connection.sql`
        select count(*)::int as count from pg_stat_activity where usename = 'any_user'
      `;
      return row?.count;
    };
    await t.step("close leaves no backend", async () => {
      const connection = await connect(config);
      assert.equal(await sessions(), 1);
      await connection.close();
      await eventually(async () => await sessions() === 0);
    });
    await t.step("destroy fails what runs", async () => {
      const connection = await connect(config);
      const running = connection.sql`select pg_sleep(600)`.catch((e) => e);
      await eventually(async () => {
        await using admin = await connect({ ...config, user: "postgres" });
        const rows = await admin.sql`
          select from pg_stat_activity where usename = 'any_user' and query like '%pg_sleep(600)%'
        `;
        return rows.length > 0;
      });
      connection.destroy();
      await connection.whenClosed;
      assert.equal((await running as DatabaseError).code, "CONNECTION_LOST");
    });
  },
);

Deno.test("a server without TLS is used only by the modes that allow it", async (t) => {
  await using server = await startPostgres();
  const rootCert = certificate("ca.pem");
  const expected = {
    "disable": "plain",
    "allow": "plain",
    "prefer": "plain",
    "require": "TLS_FAILED",
    "verify-ca": "TLS_FAILED",
    "verify-full": "TLS_FAILED",
  } as const;
  for (const [mode, result] of Object.entries(expected)) {
    await t.step(mode, async () => {
      const tls = { ...base.tls, mode: mode as keyof typeof expected, rootCert };
      assert.equal(await outcome(server.config({ tls })), result);
    });
  }
});

Deno.test("a server that closes when it is asked for TLS is used without by prefer", async () => {
  await using server = await startPostgres();
  const { host, port } = server.database;
  let asked = 0;
  using closing = fakeServer(async (client) => {
    if (asked++ === 0) return client.close();
    const upstream = await Deno.connect({ hostname: host, port });
    const both = [
      client.readable.pipeTo(upstream.writable),
      upstream.readable.pipeTo(client.writable),
    ];
    await Promise.allSettled(both);
  });
  const hosts = [{ host: "127.0.0.1", port: closing.port }];
  assert.equal(
    await outcome(server.config({ hosts, tls: { ...base.tls, mode: "prefer" } })),
    "plain",
  );
});
