import assert from "node:assert/strict";
import { loadConfig, readTlsMaterial } from "../../../src/config/mod.ts";
import { pem, tlsPath } from "../../support/tls_files.ts";
import { problemsOf } from "./problems_of.ts";

const PAIR = { TLS_CERT_FILE: tlsPath("server"), TLS_KEY_FILE: tlsPath("server-key") };
const CA = { TLS_CLIENT_CA_FILE: tlsPath("ca") };

Deno.test("TLS_CLIENT_CA_FILE: everybody needs a certificate, unless told otherwise", () => {
  const { tls } = loadConfig({ env: { ...PAIR, ...CA } }).server;
  assert.equal(tls?.clientCa, pem("ca"));
  assert.equal(tls.clientAuth, "require");
  const env = { ...PAIR, ...CA, TLS_CLIENT_AUTH: "require-except-probes" };
  assert.equal(loadConfig({ env }).server.tls?.clientAuth, "require-except-probes");
  assert.equal(loadConfig({ env: PAIR }).server.tls?.clientCa, undefined);
});

for (
  const [title, env, setting, problem] of [
    [
      "clients are asked for certificates in cleartext",
      CA,
      "TLS_CERT_FILE",
      "is not set, but TLS_CLIENT_CA_FILE requires it",
    ],
    [
      "who needs one, without authorities",
      { ...PAIR, TLS_CLIENT_AUTH: "require" },
      "TLS_CLIENT_CA_FILE",
      "is not set, but TLS_CLIENT_AUTH requires it",
    ],
    [
      "no authority",
      { ...PAIR, TLS_CLIENT_CA_FILE: tlsPath("server-key") },
      "TLS_CLIENT_CA_FILE",
      "the file contains no PEM certificate",
    ],
  ] as const
) {
  Deno.test(`TLS to this service: ${title}`, () => {
    assert.deepEqual(problemsOf(env), [{ setting, problem, allowed: undefined }]);
  });
}

Deno.test("TLS to this service: an unknown word for who needs a certificate", () => {
  const [problem, ...others] = problemsOf({ ...PAIR, ...CA, TLS_CLIENT_AUTH: "maybe" });
  assert.equal(problem?.setting, "TLS_CLIENT_AUTH");
  assert.match(problem.allowed!, /require, require-except-probes; default require/);
  assert.deepEqual(others, []);
});

Deno.test("a key of a kind that TLS cannot use is found before the first handshake", () => {
  const env = { TLS_CERT_FILE: tlsPath("unusable"), TLS_KEY_FILE: tlsPath("unusable-key") };
  assert.deepEqual(problemsOf(env), [{
    setting: "TLS_KEY_FILE",
    problem: "TLS does not support this type of key",
    allowed: "RSA of at least 2048 bits, ECDSA on P-256, P-384 or P-521, Ed25519",
  }]);
});

Deno.test("the files of TLS are read again with the same rules", () => {
  const { files } = loadConfig({ env: { ...PAIR, ...CA } }).server.tls!;
  assert.deepEqual(files, {
    cert: PAIR.TLS_CERT_FILE,
    key: PAIR.TLS_KEY_FILE,
    clientCa: CA.TLS_CLIENT_CA_FILE,
  });
  const material = readTlsMaterial(files!, Deno.readTextFileSync);
  assert.equal(material.cert, pem("server"));
  assert.equal(material.key.reveal(), pem("server-key"));
  assert.equal(material.clientCa, pem("ca"));
  assert.throws(
    () => readTlsMaterial({ ...files!, key: tlsPath("client-key") }, Deno.readTextFileSync),
    {
      name: "ConfigError",
      message: /TLS_KEY_FILE: the key does not match the certificate of TLS_CERT_FILE/,
    },
  );
});
