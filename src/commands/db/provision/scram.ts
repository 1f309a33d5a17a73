import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

const ITERATIONS = 4096; // PostgreSQL's scram_iterations
const SALT_BYTES = 16;

/** Non-ASCII characters that SASLprep changes: spaces, and those that it maps to nothing. */
const REMAPPED = /[\p{Z}\p{C}\u034F\u180B-\u180D\uFE00-\uFE0F]/u;

/**
 * Returns what PostgreSQL stores for a password. Sent instead of the password, it keeps the
 * password out of the log and statistics of the server, even if every statement is logged.
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
 * Whether every client sends this password unchanged. libpq prepares other passwords (RFC 4013,
 * SASLprep) but not all drivers do, so that some clients could not log in.
 */
export function isPlainPassword(password: string): boolean {
  const foreign = password.replaceAll(/[\x20-\x7E]/g, "");
  return password.normalize("NFKC") === password && !REMAPPED.test(foreign);
}
