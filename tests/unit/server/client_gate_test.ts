import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { ClientGate } from "../../../src/server/client_gate.ts";
import { captureLogger } from "../../support/server.ts";
import { pem } from "../../support/tls_files.ts";

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** A connection as node:tls shows it after the handshake. */
function connection(
  certificate: string | undefined,
  { reused = false, authorized = true } = {},
): TLSSocket {
  return {
    getPeerX509Certificate: () => certificate && new X509Certificate(pem(certificate)),
    isSessionReused: () => reused,
    authorized,
    authorizationError: authorized ? null : "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    remoteAddress: "192.0.2.1",
    remotePort: 4711,
  } as unknown as TLSSocket;
}

function gateFor(clientCa: string) {
  const time = { now: 0 };
  const { logger, logs } = captureLogger();
  const gate = new ClientGate({
    clientCa,
    clientAuth: "require",
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    logger,
    now: () => time.now,
  });
  const mayResume = (certificate: string) => gate.admits(connection(certificate, { reused: true }));
  return { gate, logs, time, mayResume };
}

Deno.test("client gate: only a session with a full handshake may resume", () => {
  const { gate, logs, mayResume } = gateFor(pem("ca"));
  assert.equal(mayResume("client"), false);
  assert.equal(gate.admits(connection("client")), true);
  assert.equal(mayResume("client"), true);
  assert.equal(gate.admits(connection("client-other", { authorized: false })), false);
  assert.equal(mayResume("client-other"), false);
  assert.deepEqual(logs.map(({ level, reason, peer }) => [level, reason, peer]), [
    ["warn", "SESSION_NOT_VERIFIED", "192.0.2.1:4711"],
    ["warn", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "192.0.2.1:4711"],
    ["debug", "SESSION_NOT_VERIFIED", "192.0.2.1:4711"],
  ]);
});

Deno.test("client gate: a session does not outlive its certificate", () => {
  const { gate, mayResume } = gateFor(pem("ca"));
  // As if it had been valid still when it shook hands.
  assert.equal(gate.admits(connection("client-expired")), true);
  assert.equal(mayResume("client-expired"), false);
});

Deno.test("client gate: removing a CA invalidates only its own sessions", () => {
  const { gate, mayResume } = gateFor(pem("ca") + pem("other-ca"));
  for (const name of ["client", "client-other"]) gate.admits(connection(name));
  gate.trust(pem("other-ca") + pem("ca"));
  assert.deepEqual([mayResume("client"), mayResume("client-other")], [true, true]);
  gate.trust(pem("other-ca"));
  assert.deepEqual([mayResume("client"), mayResume("client-other")], [false, true]);
});

Deno.test("client gate: a handshake that began before a CA was removed may not be resumed", () => {
  const { gate, time, mayResume } = gateFor(pem("ca") + pem("other-ca"));
  gate.trust(pem("other-ca"));
  time.now = HANDSHAKE_TIMEOUT_MS - 1;
  assert.equal(gate.admits(connection("client")), true, "TLS has let it in");
  assert.equal(mayResume("client"), false);
  // Later ones were verified under the authorities of now, also through others in between.
  time.now = HANDSHAKE_TIMEOUT_MS;
  gate.admits(connection("client"));
  assert.equal(mayResume("client"), true);
});

Deno.test("client gate: a missing or unreadable certificate is rejected", () => {
  const { gate, logs } = gateFor(pem("ca"));
  assert.equal(gate.admits(connection(undefined)), false);
  const unreadable = Object.assign(connection("client"), {
    getPeerX509Certificate: () => {
      throw new Error("broken");
    },
  });
  assert.equal(gate.admits(unreadable), false);
  assert.equal(logs[0]?.reason, "NO_CERTIFICATE");
});
