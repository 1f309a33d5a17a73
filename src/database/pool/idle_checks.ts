import type { Clock } from "../clock.ts";
import { abortable, Deadline } from "../deadline.ts";
import { DatabaseError } from "../errors.ts";
import type { Resource } from "./options.ts";

/** Settings of {@linkcode IdleChecks}. */
export interface IdleChecksOptions<R> {
  /** Proves that a resource works; without it every one passes. */
  readonly check?: ((resource: R, signal: AbortSignal) => Promise<void>) | undefined;
  readonly checkTimeoutMs: number;
  readonly clock: Clock;
}

/** The checks of resources that were idle for a while; each belongs to a caller who waits. */
export class IdleChecks<R extends Resource> {
  readonly #options: IdleChecksOptions<R>;
  readonly #running = new Set<R>();

  constructor(options: IdleChecksOptions<R>) {
    this.#options = options;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Whether a check succeeds in time. Never rejects, and does not rely on the check to give up. */
  async passes(resource: R, signal: AbortSignal): Promise<boolean> {
    const { check, checkTimeoutMs: timeoutMs, clock } = this.#options;
    const onTimeout = () => new DatabaseError("PING_TIMEOUT");
    using deadline = new Deadline({ timeoutMs, signal, clock, onTimeout });
    this.#running.add(resource);
    try {
      if (check) await abortable(check(resource, deadline.signal), deadline.signal);
      return true;
    } catch {
      return false;
    } finally {
      this.#running.delete(resource);
    }
  }

  /** Destroys what is being checked, so that its check fails now. */
  destroyAll(): void {
    for (const resource of this.#running) resource.destroy();
  }
}
