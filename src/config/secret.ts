const REDACTED = "[redacted]";

/**
 * A value that shows itself only when asked: printing, logging, inspecting,
 * JSON-encoding and string concatenation all give `[redacted]`.
 *
 * ```ts
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

  /** The value itself. Call it only where the value leaves the process for its purpose. */
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
