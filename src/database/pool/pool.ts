import { abortable, Deadline } from "../deadline.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { IdleChecks } from "./idle_checks.ts";
import { IdleStack } from "./idle_stack.ts";
import { type Entry, Inventory } from "./inventory.ts";
import { LeakDetector } from "./leak_detector.ts";
import { MinIdle } from "./min_idle.ts";
import {
  type AcquireOptions,
  type CloseOptions,
  type PoolOptions,
  type ResolvedOptions,
  type Resource,
  withDefaults,
} from "./options.ts";
import { OpeningPause } from "./opening_pause.ts";
import { OpeningRefusals } from "./opening_refusals.ts";
import { acquireTimeout, queueFull } from "./refusals.ts";
import { type CloseReason, PoolCounters, type PoolStats } from "./stats.ts";
import { WaitQueue } from "./wait_queue.ts";

/**
 * A bounded pool with the semantics of Go's database/sql: resources are opened on demand up to a
 * limit, the most recently used is lent first, and callers that find none wait in order.
 *
 * No opening belongs to a caller. While callers wait, one opening or check is under way for each
 * as far as the limits allow, and what becomes ready, also by a release, goes to the first of them.
 *
 * ```ts ignore
 * const pool = new Pool({ open: (signal) => connect(config, { signal }), maxOpen: 25, ... });
 * const connection = pool.tryAcquire() ?? await pool.acquire({ signal });
 * try {
 *   await connection.sql`select 1`;
 * } finally {
 *   pool.release(connection);
 * }
 * ```
 */
export class Pool<R extends Resource> implements AsyncDisposable {
  readonly #options: ResolvedOptions<R>;
  readonly #inventory: Inventory<R>;
  readonly #idle: IdleStack<Entry<R>>;
  readonly #checks: IdleChecks<R>;
  readonly #waiters: WaitQueue<R>;
  readonly #minIdle: MinIdle;
  readonly #refusals: OpeningRefusals;
  readonly #leaks: LeakDetector<R> | undefined;
  readonly #counters = new PoolCounters();
  readonly #shutdown = new AbortController();
  readonly #drained = Promise.withResolvers<void>();
  #inUse = 0;

  constructor(options: PoolOptions<R>) {
    this.#options = withDefaults(options);
    const { clock, maxIdleTimeMs, leakThresholdMs, onLeak } = this.#options;
    this.#inventory = new Inventory(this.#options, this.#counters, {
      onOpened: (entry) => this.#opened(entry),
      onOpenFailed: (error) => this.#openFailed(error),
      onFreed: () => this.#replenish(),
    });
    this.#idle = new IdleStack(clock, maxIdleTimeMs, (entry, reason) => {
      this.#expired(entry, reason);
    });
    this.#checks = new IdleChecks(this.#options);
    this.#waiters = new WaitQueue(clock, this.#options.acquireTimeoutMs);
    const pause = () => new OpeningPause({ ...this.#options, onOver: () => this.#replenish() });
    this.#minIdle = new MinIdle(this.#options.minIdle, pause());
    this.#refusals = new OpeningRefusals(pause(), this.#options.onOpenRefused);
    if (onLeak !== undefined && leakThresholdMs !== Infinity) {
      this.#leaks = new LeakDetector({ thresholdMs: leakThresholdMs, onLeak, clock });
    }
  }

  /**
   * Takes an idle resource that needs no check, or nothing when there is none. Nobody is overtaken:
   * while callers wait, nothing is idle but what needs a check.
   */
  tryAcquire(): R | undefined {
    const entry = this.#idle.take(this.#options.checkAfterIdleMs);
    if (entry === undefined) return undefined;
    this.#leaks?.begin(entry.resource, this.#leaks.trace());
    if (this.#minIdle.wantsMoreThan(this.#idle.size)) this.#replenish();
    return this.#lend(entry);
  }

  /**
   * Takes an idle resource, or waits for one that is released, checked or newly opened.
   * Give it back with {@linkcode Pool.release}.
   *
   * @throws {DatabaseError} `ACQUIRE_TIMEOUT`, `QUEUE_FULL`, `POOL_CLOSED`, the signal's reason
   * (`ABORTED`), or the error of an opening when no other is under way for this caller.
   */
  acquire(options: AcquireOptions = {}): Promise<R> {
    const { signal, timeoutMs = this.#options.acquireTimeoutMs, evenIfQueueFull = false } = options;
    if (this.#isClosing) return Promise.reject(new DatabaseError("POOL_CLOSED"));
    if (signal?.aborted) return Promise.reject(abortReason(signal));
    const resource = this.tryAcquire();
    if (resource !== undefined) return Promise.resolve(resource);

    const queued = this.#queuedWithOneMore;
    if (queued > this.#options.maxWaiting && !evenIfQueueFull) {
      this.#counters.rejectedCount++;
      return Promise.reject(queueFull(this.stats()));
    }
    if (queued > 0) this.#counters.waitCount++;
    const { clock } = this.#options;
    const startedAt = clock.now();
    const trace = this.#leaks?.trace();
    const wait = this.#waiters.wait({
      timeoutMs,
      signal,
      onTimeout: () => acquireTimeout(timeoutMs, this.stats()),
      onEnd: (outcome, resource) => {
        if (outcome === "timeout") this.#counters.acquireTimeoutCount++;
        if (queued > 0) this.#counters.waitDurationMs += clock.now() - startedAt;
        if (resource !== undefined && trace !== undefined) this.#leaks?.begin(resource, trace);
      },
    });
    this.#replenish();
    return wait;
  }

  /**
   * Gives a resource back. It is closed instead of kept when it is `broken` or has closed, is too
   * old, or is not needed.
   *
   * @throws {Error} When the resource is not in use: it was released twice, or is another pool's. A
   * second release that comes when somebody else has it already cannot be told from that one's.
   */
  release(resource: R, { broken = false }: { readonly broken?: boolean } = {}): void {
    const entry = this.#inventory.find(resource);
    if (entry === undefined || !entry.inUse) {
      // Closing by force takes away what is in use; its users release it later.
      if (this.#isClosing) return;
      throw new Error("Released a resource that is not in use: each acquire is released once");
    }
    this.#leaks?.end(resource);
    this.#inUse--;
    entry.inUse = false;
    this.#passOn(entry, broken);
  }

  /**
   * Drops everything that is open now: what is idle or being checked at once, what is in use when
   * it is released. For when the other side has restarted.
   */
  reset(): void {
    this.#inventory.startGeneration();
    this.#checks.destroyAll();
    for (const entry of this.#idle.clear()) this.#inventory.close(entry, "reset");
  }

  /**
   * As {@linkcode Pool.reset}, and opens nothing for `minIdle` until {@linkcode Pool.warmUp}. For
   * when the other side is to be left alone.
   */
  empty(): void {
    this.#minIdle.stop();
    this.#refusals.end();
    this.reset();
  }

  /** What callers have at the moment. */
  get inUse(): readonly R[] {
    return this.#inventory.inUse;
  }

  /** Turns away everyone who waits; for when there is nothing to wait for. */
  rejectWaiters(makeError: () => DatabaseError): void {
    this.#waiters.failAll(makeError);
  }

  /** Opens what is missing to `minIdle` now, even if openings have failed; for a recovery. */
  warmUp(): void {
    if (this.#isClosing) return;
    this.#minIdle.resume();
    this.#refusals.end();
    this.#replenish();
  }

  /** A frozen snapshot. */
  stats(): PoolStats {
    return this.#counters.snapshot({
      max: this.#options.maxOpen,
      inUse: this.#inUse + this.#checks.size,
      idle: this.#idle.size,
      connecting: this.#inventory.connecting,
      closing: this.#inventory.closing,
      waiting: this.#waiters.size,
    });
  }

  /**
   * Rejects every waiter, closes what is idle, and waits until everything in use has come back and
   * is closed. When the time is over or the signal aborts, what is left is destroyed. Can be
   * called again, for instance with less patience.
   */
  async close({ signal, timeoutMs = Infinity }: CloseOptions = {}): Promise<void> {
    this.#shutdown.abort(new DatabaseError("POOL_CLOSED"));
    this.#minIdle.stop();
    this.#refusals.end();
    this.#waiters.failAll(() => new DatabaseError("POOL_CLOSED"));
    for (const entry of this.#idle.clear()) this.#inventory.close(entry, "shutdown");
    this.#replenish();
    using patience = new Deadline({
      timeoutMs,
      signal,
      clock: this.#options.clock,
      onTimeout: () => new DatabaseError("ABORTED"),
    });
    await abortable(this.#drained.promise, patience.signal).catch(() => this.#destroyAll());
    this.#leaks?.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #isClosing(): boolean {
    return this.#shutdown.signal.aborted;
  }

  /** What will be ready without a release. */
  get #preparing(): number {
    return this.#inventory.connecting + this.#checks.size;
  }

  /** While openings are refused, callers wait for what others use, if anybody uses something. */
  get #canOpen(): boolean {
    return this.#inventory.canOpen && !(this.#refusals.isActive && this.#inUse > 0);
  }

  /** Callers that would wait for others, if one more came. */
  get #queuedWithOneMore(): number {
    const canPrepare = this.#idle.size > 0 || this.#canOpen;
    return Math.max(0, this.#waiters.size + 1 - this.#preparing - Number(canPrepare));
  }

  /**
   * Checks what is idle, then opens, one resource for each waiter, and opens what is missing to `minIdle`. Called
   * whenever something may have become possible; a closing pool has only its end left.
   */
  #replenish(): void {
    if (this.#isClosing) {
      if (this.#inventory.isEmpty) this.#drained.resolve();
      return;
    }
    // Also beside openings that are under way: those can take long, or fail.
    while (this.#checks.size < this.#waiters.size) {
      const entry = this.#idle.take();
      if (entry === undefined) break;
      void this.#check(entry);
    }
    while (this.#preparing < this.#waiters.size) {
      if (!this.#canOpen) return;
      this.#inventory.open(this.#shutdown.signal);
    }
    const willBeIdle = () => this.#idle.size + this.#preparing - this.#waiters.size;
    while (this.#minIdle.wantsMoreThan(willBeIdle()) && this.#canOpen) {
      this.#inventory.open(this.#shutdown.signal);
    }
  }

  #opened(entry: Entry<R>): void {
    if (entry.resource.closed) this.#minIdle.pause(new DatabaseError("CONNECTION_LOST"));
    else this.#minIdle.succeeded();
    this.#refusals.end();
    void entry.resource.whenClosed.then(() => this.#closedByItself(entry));
    this.#passOn(entry, false);
    this.#replenish();
  }

  #openFailed(error: unknown): void {
    if (!this.#isClosing) {
      this.#counters.openFailedCount++;
      this.#minIdle.pause(error);
      const isCovered = this.#inUse > 0 && this.#refusals.covers(error);
      // Somebody has to learn of it, unless something else is on the way for everyone.
      if (!isCovered && this.#preparing < this.#waiters.size) this.#waiters.failNext(error);
    }
    this.#replenish();
  }

  /** Never rejects: who waits for it gets another one when it fails. */
  async #check(entry: Entry<R>): Promise<void> {
    const isAlive = await this.#checks.passes(entry.resource, this.#shutdown.signal);
    const ending = this.#passOn(entry, !isAlive && !this.#isClosing);
    if (ending === "error" && !this.#isClosing) this.#options.onIdleClosed?.();
  }

  #closedByItself(entry: Entry<R>): void {
    if (this.#idle.remove(entry)) this.#expired(entry, "error");
  }

  /** Closes what was idle. */
  #expired(entry: Entry<R>, reason: CloseReason): void {
    // Without a pause, a server that ends every session would be asked again at once.
    if (reason === "error") this.#minIdle.pause(new DatabaseError("CONNECTION_LOST"));
    this.#inventory.close(entry, reason);
    if (reason === "error") this.#options.onIdleClosed?.();
  }

  /** Lends what nobody has to the first waiter, keeps it, or closes it; then it says why. */
  #passOn(entry: Entry<R>, broken: boolean): CloseReason | undefined {
    const now = this.#options.clock.now();
    const unfit = this.#unfitReason(entry, { broken, now });
    if (unfit !== undefined) this.#inventory.close(entry, unfit);
    else if (this.#waiters.size > 0) this.#waiters.serveNext(this.#lend(entry));
    else this.#idle.put(entry, now);
    return unfit;
  }

  #unfitReason(
    entry: Entry<R>,
    { broken, now }: { readonly broken: boolean; readonly now: number },
  ): CloseReason | undefined {
    if (this.#inventory.isStale(entry)) return "reset";
    if (broken || entry.resource.closed) return "error";
    if (this.#isClosing) return "shutdown";
    if (now >= entry.expiresAt) return "lifetime";
    const isSpare = this.#waiters.size === 0 && this.#idle.size >= this.#options.maxIdle;
    return isSpare ? "maxIdle" : undefined;
  }

  #lend(entry: Entry<R>): R {
    entry.inUse = true;
    this.#inUse++;
    this.#counters.acquireCount++;
    return entry.resource;
  }

  #destroyAll(): void {
    this.#inventory.destroyAll();
    this.#inUse = 0;
    this.#drained.resolve();
  }
}
