const REDACTED = "[redacted]";

/**
 * A value that only `reveal()` shows: printing, logging, inspecting, JSON encoding and string
 * concatenation give `[redacted]`.
 *
 * ```ts
 * const password = new Secret("hunter2");
 * `${password}`; // "[redacted]"
 * password.reveal(); // "hunter2"
 * ```
 */
export class Secret {
  readonly #value: string;

  /** Wraps a secret text. */
  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call it only where the value is used, such as for a login. */
  reveal(): string {
    return this.#value;
  }

  /** `[redacted]`. */
  toString(): string {
    return REDACTED;
  }

  /** `[redacted]`. */
  toJSON(): string {
    return REDACTED;
  }

  /** `[redacted]`, in Deno. */
  [Symbol.for("Deno.customInspect")](): string {
    return REDACTED;
  }

  /** `[redacted]`, in Node.js and Bun. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return REDACTED;
  }
}
