/** Stands where a secret stood. */
export const REDACTED = "[redacted]";

/** Log fields that are never shown, at the top and one level down. */
export const SECRET_FIELDS: readonly string[] = [
  "password",
  "secret",
  "token",
  "key",
  "authorization",
  "cookie",
  "connectionString",
].flatMap((name) => [name, `*.${name}`]);

/** Shorter values would tear lines apart, and protect nothing. */
const MIN_SECRET_LENGTH = 4;

/** `user:password@` in a URL. */
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/"@]*@/gi;

/**
 * Returns a function that removes `secrets`, and the credentials of URLs, from a line of JSON.
 *
 * ```ts
 * const redact = createRedactor(["hunter2"]);
 * redact('{"msg":"login with hunter2"}'); // '{"msg":"login with [redacted]"}'
 * ```
 */
export function createRedactor(secrets: readonly string[]): (line: string) => string {
  const spellings = secrets
    .filter((secret) => secret.length >= MIN_SECRET_LENGTH)
    .flatMap((secret) => [JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    .sort((a, b) => b.length - a.length);
  return (line) => {
    const hidden = line.replace(URL_CREDENTIALS, `$1${REDACTED}@`);
    return spellings.reduce((text, spelling) => text.replaceAll(spelling, REDACTED), hidden);
  };
}
