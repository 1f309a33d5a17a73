import { setTimeout as delay } from "node:timers/promises";

export interface EventuallyOptions {
  /**
   * How long to try. Generous, because a slow machine is no failure.
   *
   * @default 30_000
   */
  readonly timeoutMs?: number;
  /** What is waited for, for the error message. */
  readonly what?: string;
}

const INTERVAL_MS = 20;

/**
 * Calls `condition` until it gives something truthy, and returns that. A condition that throws is
 * tried again, so it can hold asserts; the last failure is the cause of the error.
 *
 * ```ts
 * await eventually(async () => (await server.sessions()) === 0, { what: "no session is left" });
 * ```
 *
 * @throws {Error} When the time is over.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, what = "the condition holds" }: EventuallyOptions = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      const result = await condition();
      if (result) return result;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await delay(INTERVAL_MS);
  } while (performance.now() < deadline);
  throw new Error(`Waited ${timeoutMs} ms until ${what}, in vain.`, { cause });
}
