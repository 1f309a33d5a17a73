import type { Clock } from "../clock.ts";
import { abortable, Deadline } from "../deadline.ts";
import { DatabaseError } from "../errors.ts";

/** Settings of {@linkcode passes}. */
export interface IdleCheckOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** Whether a check succeeds in time. Never rejects, and does not rely on the check to give up. */
export async function passes(
  check: (signal: AbortSignal) => Promise<void>,
  { timeoutMs, signal, clock }: IdleCheckOptions,
): Promise<boolean> {
  const onTimeout = () => new DatabaseError("PING_TIMEOUT");
  using deadline = new Deadline({ timeoutMs, signal, clock, onTimeout });
  try {
    await abortable(check(deadline.signal), deadline.signal);
    return true;
  } catch {
    return false;
  }
}
