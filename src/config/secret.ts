const REDACTED = "[redacted]";

/**
 * A value that only `reveal()` shows: printing, logging, inspecting, JSON encoding and string
 * concatenation give `[redacted]`.
 *
 * ```ts
 * import { Secret } from "./src/config/mod.ts";
 *
 * const password = new Secret("hunter2");
 * `${password}`; // "[redacted]"
 * password.reveal(); // "hunter2"
 * ```
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call it only where the value is used, such as for a login. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.for("Deno.customInspect")](): string {
    return REDACTED;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return REDACTED;
  }
}
