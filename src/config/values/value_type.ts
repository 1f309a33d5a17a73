import { z } from "zod";
import { Secret } from "../secret.ts";

/** What the text of a setting may be: how it is parsed, and the words for what it allows. */
export interface ValueType<T> {
  /** Words for people, for problem messages and the documentation. */
  readonly allowed: string;
  readonly unit?: string;
  /**
   * Messages of its issues are predicates such as "is not a whole number". They must not repeat
   * the text: the loader decides whether it may be shown.
   */
  readonly schema: z.ZodType<T, string>;
}

/** Longer timers fire at once: timeouts are 32-bit signed integers of milliseconds. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Builds a value type from a function; each call of `fail` is one problem. */
export function parsedBy<T>(
  allowed: string,
  parse: (text: string, fail: (problem: string) => void) => T,
): ValueType<T> {
  const schema = z.string().transform((text, context) => {
    return parse(text, (message) => context.addIssue({ code: "custom", message }));
  });
  return { allowed, schema };
}

/** Any text up to a length; PostgreSQL's names hold at most 63 bytes. */
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
 * A duration, typed in seconds and held in milliseconds.
 *
 * @param zero What 0 means; without it, 0 is not allowed.
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
      // A tiny value must not round to 0, which has a meaning of its own.
      .refine((value) => value >= 0.001 || (value === 0 && zero !== undefined), smallest)
      .transform((value) => Math.round(value * 1000)),
  };
}

/** A switch. */
export const boolean: ValueType<boolean> = {
  allowed: "true or false; also 1/0, yes/no, on/off",
  schema: z.stringbool({
    truthy: ["true", "1", "yes", "on"],
    falsy: ["false", "0", "no", "off"],
    error: "is neither true nor false",
  }),
};

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly [T, ...T[]]): ValueType<T> {
  return {
    allowed: words.join(", "),
    schema: z.enum(words, { error: "is not one of the allowed words" }),
  };
}

/** Text that is a secret from the moment it is read. */
export const secretText: ValueType<Secret> = {
  allowed: "text",
  schema: z.string().transform((value) => new Secret(value)),
};

/** Path of a file; the loader reads and checks the file itself. */
export function filePath(contents: string): ValueType<string> {
  return { allowed: `path of a file with ${contents}`, schema: z.string() };
}
