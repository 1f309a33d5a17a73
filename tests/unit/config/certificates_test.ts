import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/mod.ts";
import { errorOf, problemsOf } from "./problems_of.ts";

const fixture = (name: string) => new URL(`../../support/tls/${name}`, import.meta.url).pathname;
const pem = (name: string) => Deno.readTextFileSync(fixture(name));

Deno.test("the database's certificates are held as PEM text", () => {
  const { tls } = loadConfig({
    env: {
      DB_SSL_MODE: "verify-full",
      DB_SSL_ROOT_CERT: fixture("ca.pem"),
      DB_SSL_CERT: fixture("client.pem"),
      DB_SSL_KEY: fixture("client-key.pem"),
    },
  }).database;
  assert.equal(tls.mode, "verify-full");
  assert.equal(tls.rootCert, pem("ca.pem"));
  assert.equal(tls.cert, pem("client.pem"));
  assert.equal(tls.key?.reveal(), pem("client-key.pem"));
});

Deno.test("the server's certificate may be a chain", () => {
  const chain = pem("server.pem") + pem("ca.pem");
  const { tls } = loadConfig({
    env: { TLS_CERT_FILE: "chain", TLS_KEY_FILE: fixture("server-key.pem") },
    readTextFile: (path) => path === "chain" ? chain : Deno.readTextFileSync(path),
  }).server;
  assert.equal(tls?.cert, chain);
  assert.equal(tls?.key.reveal(), pem("server-key.pem"));
});

for (
  const [cert, key] of [["TLS_CERT_FILE", "TLS_KEY_FILE"], ["DB_SSL_CERT", "DB_SSL_KEY"]] as const
) {
  const good = { [cert]: fixture("server.pem"), [key]: fixture("server-key.pem") };

  for (
    const [title, env, setting, problem] of [
      ["no key", { [cert]: good[cert] }, key, `is not set, but ${cert} is; set both or neither`],
      [
        "no certificate",
        { [key]: good[key] },
        cert,
        `is not set, but ${key} is; set both or neither`,
      ],
      [
        "the key of another certificate",
        { ...good, [key]: fixture("client-key.pem") },
        key,
        `the key does not match the certificate of ${cert}`,
      ],
      [
        "a key for a certificate",
        { ...good, [cert]: fixture("server-key.pem") },
        cert,
        "the file contains no PEM certificate",
      ],
      [
        "a certificate for a key",
        { ...good, [key]: fixture("server.pem") },
        key,
        "the file contains no unencrypted PEM private key",
      ],
      [
        "a missing file",
        { ...good, [cert]: "/no/such/file" },
        cert,
        "cannot read the file: no such file",
      ],
    ] as const
  ) {
    Deno.test(`${cert} and ${key}: ${title}`, () => {
      assert.deepEqual(problemsOf(env), [{ setting, problem, allowed: undefined }]);
    });
  }
}

Deno.test("every certificate of a file is checked", () => {
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const { problems } = errorOf({
    env: { DB_SSL_ROOT_CERT: "bundle" },
    readTextFile: () => pem("ca.pem") + broken,
  });
  assert.deepEqual(problems, [{
    setting: "DB_SSL_ROOT_CERT",
    problem: "the file contains an invalid PEM certificate",
    allowed: undefined,
  }]);
});
