/** Replaces a secret. */
export const REDACTED = "[redacted]";

/** Log fields that are always redacted, at the top level and one level below. */
export const SECRET_FIELDS: readonly string[] = [
  "password",
  "secret",
  "token",
  "key",
  "authorization",
  "cookie",
  "connectionString",
].flatMap((name) => [name, `*.${name}`]);

/** Shorter values occur by chance in ordinary text. */
const MIN_SECRET_LENGTH = 4;

/** `user:password@` in a URL. */
const URL_CREDENTIALS = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/"@]*@/gi;

/**
 * Removes known secrets and the credentials of URLs from lines of JSON.
 *
 * ```ts
 * const redactor = new Redactor(["hunter2"]);
 * redactor.redact('{"msg":"login with hunter2"}'); // '{"msg":"login with [redacted]"}'
 * ```
 */
export class Redactor {
  /** Longest first, because one secret can contain another. */
  #spellings: readonly string[] = [];

  /** Redacts these secrets; more can be added. */
  constructor(secrets: readonly string[] = []) {
    for (const secret of secrets) this.add(secret);
  }

  /** Adds a secret, such as a rotated password. Secrets shorter than 4 characters are ignored. */
  add(secret: string): void {
    if (secret.length < MIN_SECRET_LENGTH) return;
    const spellings = [JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
    if (spellings.every((spelling) => this.#spellings.includes(spelling))) return;
    this.#spellings = [...this.#spellings, ...spellings].sort((a, b) => b.length - a.length);
  }

  /** Returns the line without secrets. */
  redact(line: string): string {
    const hidden = line.replace(URL_CREDENTIALS, `$1${REDACTED}@`);
    return this.#spellings.reduce((text, spelling) => text.replaceAll(spelling, REDACTED), hidden);
  }
}
