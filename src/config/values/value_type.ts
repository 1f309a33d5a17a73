import { z } from "zod";
import { Secret } from "../secret.ts";

/** Parses a text, or says what is wrong with it; the part of zod's `ZodType` that settings use. */
export interface TextSchema<T> {
  /** Parses the text. Never throws. */
  safeParse(
    text: string | undefined,
  ):
    | { readonly success: true; readonly data: T }
    | {
      readonly success: false;
      readonly error: { readonly issues: readonly { readonly message: string }[] };
    };
  /**
   * Parses a text that is known to be valid.
   *
   * @throws {Error} If it is not.
   */
  parse(text: string): T;
}

/** The type of a setting: how its text is parsed, and a description of the allowed values. */
export interface ValueType<T> {
  /** Description of the allowed values, for messages and the documentation. */
  readonly allowed: string;
  /** Unit of the value, such as seconds; absent for values without one. */
  readonly unit?: string;
  /**
   * The messages of its issues are predicates such as "is not a whole number". They must not repeat
   * the text, which may be a secret.
   */
  readonly schema: TextSchema<T>;
}

/** Limit of setTimeout, whose delay is a signed 32-bit integer; a longer timer fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Creates a value type from a parser, which reports each problem with `fail`. */
export function parsedBy<T>(
  allowed: string,
  parse: (text: string, fail: (problem: string) => void) => T,
): ValueType<T> {
  const schema = z.string().transform((text, context) => {
    return parse(text, (message) => context.addIssue({ code: "custom", message }));
  });
  return { allowed, schema };
}

/** Text of limited length in UTF-8. PostgreSQL identifiers have at most 63 bytes. */
export function text(maxBytes: number): ValueType<string> {
  const fits = (value: string) => new TextEncoder().encode(value).length <= maxBytes;
  return {
    allowed: `text of at most ${maxBytes} bytes`,
    schema: z.string().refine(fits, `is longer than ${maxBytes} bytes`),
  };
}

/** A whole number within limits, both inclusive. */
export function wholeNumber(min: number, max: number, unit?: string): ValueType<number> {
  return {
    allowed: `whole number from ${min} to ${max}`,
    ...(unit === undefined ? {} : { unit }),
    schema: z.string()
      .regex(/^\d+$/, "is not a whole number")
      .transform(Number)
      .pipe(z.number().min(min, "is too small").max(max, "is too large")),
  };
}

/**
 * A duration: seconds in the setting, milliseconds in the configuration.
 *
 * @param zero The meaning of 0. Without it, 0 is not allowed.
 */
export function seconds(zero?: string): ValueType<number> {
  const longest = Math.floor(LONGEST_TIMER_MS / 1000);
  const smallest = "is less than a millisecond";
  return {
    allowed: `${zero === undefined ? "" : `0 (${zero}) or `}decimal from 0.001 to ${longest}`,
    unit: "seconds",
    schema: z.string()
      .regex(/^\d+(\.\d+)?$/, "is not a number of seconds")
      .transform(Number)
      .pipe(z.number().max(longest, "is too long"))
      // A smaller value would round to 0, which has another meaning.
      .refine((value) => value >= 0.001 || (value === 0 && zero !== undefined), smallest)
      .transform((value) => Math.round(value * 1000)),
  };
}

/** A Boolean. */
export const boolean: ValueType<boolean> = {
  allowed: "true or false; also 1/0, yes/no, on/off",
  schema: z.stringbool({
    truthy: ["true", "1", "yes", "on"],
    falsy: ["false", "0", "no", "off"],
    error: "is neither true nor false",
  }),
};

/** One of the given words. */
export function oneOf<const T extends string>(...words: readonly [T, ...T[]]): ValueType<T> {
  return {
    allowed: words.join(", "),
    schema: z.enum(words, { error: "is not one of the allowed words" }),
  };
}

/** Text that is wrapped in a `Secret` when it is read. */
export const secretText: ValueType<Secret> = {
  allowed: "text",
  schema: z.string().transform((value) => new Secret(value)),
};

/** Path of a file, which the loader reads and validates. */
export function filePath(contents: string): ValueType<string> {
  return { allowed: `path of a file that contains ${contents}`, schema: z.string() };
}
