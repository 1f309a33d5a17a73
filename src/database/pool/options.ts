import { type Clock, systemClock } from "../clock.ts";
import type { Leak } from "./leak_detector.ts";

/** Something that takes time to open, can break, and is worth keeping. */
export interface Resource {
  /** Once true, the resource is never handed out again. */
  readonly closed: boolean;
  /** Resolves when the resource has closed by itself or otherwise. Must not reject. */
  readonly whenClosed: Promise<void>;
  /** Closes politely, in bounded time. */
  close(): Promise<void>;
  /** Closes at once. */
  destroy(): void;
}

/** Settings of a `Pool`. What is optional is off or unlimited by default, unless it says otherwise. */
export interface PoolOptions<R extends Resource> {
  /** Opens a resource; must give up soon after the signal aborts. */
  readonly open: (signal: AbortSignal) => Promise<R>;
  readonly maxOpen: number;
  /** Most openings at the same time. */
  readonly maxConnecting?: number | undefined;

  /** Most resources kept while nobody uses them. */
  readonly maxIdle: number;
  /**
   * Resources kept ready while nobody uses them, from the first successful opening or `warmUp` on.
   * At most `maxIdle`. One that ends by age is replaced.
   */
  readonly minIdle?: number | undefined;
  /** After a failed opening, `minIdle` waits up to this long, doubling; 200 by default. */
  readonly retryInitialDelayMs?: number | undefined;
  /** 10,000 by default. */
  readonly retryMaxDelayMs?: number | undefined;
  /** How long `minIdle` waits after a failure that cannot pass by itself; 30,000 by default. */
  readonly authRetryDelayMs?: number | undefined;

  /** 0 means unlimited; shortened by up to a tenth, so that resources do not all end together. */
  readonly maxLifetimeMs: number;
  /** 0 means unlimited. */
  readonly maxIdleTimeMs: number;

  /** How long an acquire waits unless it says otherwise. */
  readonly acquireTimeoutMs: number;
  /**
   * Most callers that wait for what others use. A caller for whom something can be opened or
   * checked at once is not one of them, so 0 means: nobody waits for a release.
   */
  readonly maxWaiting?: number | undefined;

  /** Proves that a resource works, else rejects; must give up soon after the signal aborts. */
  readonly check?: ((resource: R, signal: AbortSignal) => Promise<void>) | undefined;
  /** Idle time after which a resource is checked before it is lent; 0 (the default) means always. */
  readonly checkAfterIdleMs?: number | undefined;
  /** A check that takes longer has failed; 1,000 by default. */
  readonly checkTimeoutMs?: number | undefined;

  /** Use for longer than this is reported as a leak; 0 is off. */
  readonly leakThresholdMs?: number | undefined;
  /** Told once of each use that is too long. Must not throw. */
  readonly onLeak?: ((leak: Leak) => void) | undefined;
  /** Called when an idle resource turns out to be dead: it closed by itself or failed its check. */
  readonly onIdleClosed?: (() => void) | undefined;

  /**
   * Told of an opening that was refused (too many connections, a rejected login) while somebody uses
   * what is open: callers then wait for that, and nothing is opened for a while.
   */
  readonly onOpenRefused?: ((error: unknown) => void) | undefined;

  readonly clock?: Clock | undefined;
  /** From 0 up to 1; for the jitter. */
  readonly random?: (() => number) | undefined;
}

/** {@linkcode PoolOptions} with every default filled in. */
export type ResolvedOptions<R extends Resource> = ReturnType<typeof withDefaults<R>>;

/** Fills in the defaults. */
export function withDefaults<R extends Resource>(options: PoolOptions<R>) {
  const { maxOpen, maxIdle, clock = systemClock, random = Math.random } = options;
  return {
    ...options,
    maxConnecting: options.maxConnecting ?? Infinity,
    // More could not be kept, and would be opened again and again.
    minIdle: Math.min(options.minIdle ?? 0, maxIdle, maxOpen),
    retryInitialDelayMs: options.retryInitialDelayMs ?? 200,
    retryMaxDelayMs: options.retryMaxDelayMs ?? 10_000,
    authRetryDelayMs: options.authRetryDelayMs ?? 30_000,
    maxLifetimeMs: options.maxLifetimeMs || Infinity,
    maxIdleTimeMs: options.maxIdleTimeMs || Infinity,
    maxWaiting: options.maxWaiting ?? Infinity,
    checkAfterIdleMs: options.check === undefined ? Infinity : options.checkAfterIdleMs ?? 0,
    checkTimeoutMs: options.checkTimeoutMs ?? 1_000,
    leakThresholdMs: options.leakThresholdMs || Infinity,
    clock,
    random,
  };
}

/** Settings of one `Pool.acquire`. */
export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined;
  /** Infinity waits until the signal aborts or the pool closes. */
  readonly timeoutMs?: number | undefined;
  /** Joins the queue also when it is full; default: false. For the few who must learn how it goes. */
  readonly evenIfQueueFull?: boolean | undefined;
}

/** Settings of a close. */
export interface CloseOptions {
  /** Aborting it destroys what is still in use. */
  readonly signal?: AbortSignal | undefined;
  /** Time for what is in use to come back, before it is destroyed; unlimited by default. */
  readonly timeoutMs?: number | undefined;
}
