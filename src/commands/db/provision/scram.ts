import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

const ITERATIONS = 4096; // PostgreSQL's scram_iterations
const SALT_BYTES = 16;

/** Characters beyond ASCII whose meaning SASLprep changes: spaces, and what it maps to nothing. */
const REMAPPED = /[\p{Z}\p{C}\u034F\u180B-\u180D\uFE00-\uFE0F]/u;

/**
 * What PostgreSQL keeps of a password. Sent in the place of the password, it keeps it out of the
 * server's log and statistics, even when every statement is logged.
 *
 * Source: RFC 5802, section 3; PostgreSQL documentation, "pg_authid".
 */
export function scramVerifier(password: string, salt = randomBytes(SALT_BYTES)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

/**
 * Whether every client sends this password as it is. Others are prepared by libpq (RFC 4013,
 * SASLprep) and not by all drivers, so that some clients could log in and some not.
 */
export function isPlainPassword(password: string): boolean {
  const foreign = password.replaceAll(/[\x20-\x7E]/g, "");
  return password.normalize("NFKC") === password && !REMAPPED.test(foreign);
}
