import { type Clock, systemClock } from "./clock.ts";
import { abortable, Deadline } from "./deadline.ts";
import { abortReason, DatabaseError } from "./errors.ts";
import { IdleStack } from "./idle_stack.ts";
import { type CloseReason, PoolCounters, type PoolStats } from "./pool_stats.ts";
import { WaitQueue } from "./wait_queue.ts";

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

/** Settings of a {@linkcode Pool}. */
export interface PoolOptions<R extends Resource> {
  /** Opens a resource; must give up soon after the signal aborts. */
  readonly open: (signal: AbortSignal) => Promise<R>;
  readonly maxOpen: number;
  /** Most resources kept while nobody uses them. */
  readonly maxIdle: number;
  /** 0 means unlimited; shortened by up to a tenth, so that resources do not all end together. */
  readonly maxLifetimeMs: number;
  /** 0 means unlimited. */
  readonly maxIdleTimeMs: number;
  /** How long an acquire waits unless it says otherwise. */
  readonly acquireTimeoutMs: number;
  /** Called when a resource has closed by itself while it was idle. */
  readonly onIdleClosed?: (() => void) | undefined;
  readonly clock?: Clock | undefined;
  /** From 0 up to 1; for the jitter. */
  readonly random?: (() => number) | undefined;
}

/** Settings of one {@linkcode Pool.acquire}. */
export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined;
  /** Infinity waits until the signal aborts or the pool closes. */
  readonly timeoutMs?: number | undefined;
}

/** Settings of a close. */
export interface CloseOptions {
  /** Aborting it destroys what is still in use. */
  readonly signal?: AbortSignal | undefined;
  /** Time for what is in use to come back, before it is destroyed; unlimited by default. */
  readonly timeoutMs?: number | undefined;
}

/** A resource and what the pool knows about it. */
interface Entry<R> {
  readonly resource: R;
  readonly generation: number;
  readonly expiresAt: number;
  idleSince: number;
  inUse: boolean;
}

/**
 * A bounded pool with the semantics of Go's database/sql: resources are opened
 * on demand up to a limit, the most recently used is handed out first, and
 * callers that find none wait in order.
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
  readonly #options: PoolOptions<R>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #entries = new Map<R, Entry<R>>();
  readonly #idle: IdleStack<Entry<R>>;
  readonly #waiters: WaitQueue<R>;
  readonly #counters = new PoolCounters();
  readonly #shutdown = new AbortController();
  readonly #drained = Promise.withResolvers<void>();
  #inUse = 0;
  #connecting = 0;
  #closing = 0;
  #generation = 0;

  constructor(options: PoolOptions<R>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#waiters = new WaitQueue(this.#clock);
    this.#idle = new IdleStack(this.#clock, options.maxIdleTimeMs || Infinity, (entry, reason) => {
      this.#drop(entry, reason);
      this.#openForWaiters();
    });
  }

  /**
   * Takes an idle resource, or nothing when there is none. Nobody is overtaken:
   * while callers wait, nothing is idle.
   */
  tryAcquire(): R | undefined {
    const entry = this.#idle.take();
    return entry && this.#lend(entry);
  }

  /**
   * Takes an idle resource, or waits for one that is released or newly opened.
   * Give it back with {@linkcode Pool.release}.
   *
   * @throws {DatabaseError} `ACQUIRE_TIMEOUT`, `POOL_CLOSED`, the signal's reason
   * (`ABORTED`), or the error of the opening that was made for this caller.
   */
  acquire({ signal, timeoutMs = this.#options.acquireTimeoutMs }: AcquireOptions = {}): Promise<R> {
    if (this.#isClosing) return Promise.reject(new DatabaseError("POOL_CLOSED"));
    if (signal?.aborted) return Promise.reject(abortReason(signal));
    const resource = this.tryAcquire();
    if (resource !== undefined) return Promise.resolve(resource);

    const isFull = this.#taken >= this.#options.maxOpen;
    const startedAt = this.#clock.now();
    if (isFull) this.#counters.waitCount++;
    const wait = this.#waiters.wait({
      timeoutMs,
      signal,
      onTimeout: () => this.#acquireTimeout(timeoutMs),
      onEnd: (outcome) => {
        if (outcome === "timeout") this.#counters.acquireTimeoutCount++;
        if (isFull) this.#counters.waitDurationMs += this.#clock.now() - startedAt;
      },
    });
    this.#openForWaiters();
    return wait;
  }

  /**
   * Gives a resource back. It is closed instead of kept when it is `broken` or
   * has closed, is too old, or is not needed.
   *
   * @throws {Error} When the resource is not in use: it was released twice, or is another pool's.
   */
  release(resource: R, { broken = false }: { readonly broken?: boolean } = {}): void {
    const entry = this.#entries.get(resource);
    if (entry === undefined || !entry.inUse) {
      // Closing by force takes away what is in use; its users release it later.
      if (this.#isClosing) return;
      throw new Error("Released a resource that is not in use: each acquire is released once");
    }
    this.#inUse--;
    entry.inUse = false;
    const reason = this.#unfitReason(entry, broken);
    if (reason === undefined) return this.#offer(entry);
    this.#drop(entry, reason);
    this.#openForWaiters();
  }

  /**
   * Drops everything that is open now: what is idle at once, what is in use
   * when it is released. For when the other side has restarted.
   */
  reset(): void {
    this.#generation++;
    for (const entry of this.#idle.clear()) this.#drop(entry, "reset");
    this.#openForWaiters();
  }

  /** A frozen snapshot. */
  stats(): PoolStats {
    return this.#counters.snapshot({
      max: this.#options.maxOpen,
      inUse: this.#inUse,
      idle: this.#idle.size,
      connecting: this.#connecting,
      closing: this.#closing,
      waiting: this.#waiters.size,
    });
  }

  /**
   * Rejects every waiter, closes what is idle, and waits until everything in use
   * has come back and is closed. When the time is over or the signal aborts, what
   * is left is destroyed. Can be called again, for instance with less patience.
   */
  async close({ signal, timeoutMs = Infinity }: CloseOptions = {}): Promise<void> {
    this.#shutdown.abort(new DatabaseError("POOL_CLOSED"));
    this.#waiters.failAll(() => new DatabaseError("POOL_CLOSED"));
    for (const entry of this.#idle.clear()) this.#drop(entry, "shutdown");
    this.#checkDrained();
    using patience = new Deadline({
      timeoutMs,
      signal,
      clock: this.#clock,
      onTimeout: () => new DatabaseError("ABORTED"),
    });
    await abortable(this.#drained.promise, patience.signal).catch(() => this.#destroyAll());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #isClosing(): boolean {
    return this.#shutdown.signal.aborted;
  }

  /** Places that are taken on the other side. */
  get #taken(): number {
    return this.#entries.size + this.#connecting + this.#closing;
  }

  #lend(entry: Entry<R>): R {
    entry.inUse = true;
    this.#inUse++;
    this.#counters.acquireCount++;
    return entry.resource;
  }

  /** Gives a resource that is neither idle nor in use to the next waiter, or keeps it. */
  #offer(entry: Entry<R>): void {
    if (this.#waiters.size > 0) this.#waiters.serveNext(this.#lend(entry));
    else if (this.#idle.size >= this.#options.maxIdle) this.#drop(entry, "maxIdle");
    else this.#idle.put(entry);
  }

  #unfitReason(entry: Entry<R>, broken: boolean): CloseReason | undefined {
    if (broken || entry.resource.closed) return "error";
    if (this.#isClosing) return "shutdown";
    if (entry.generation !== this.#generation) return "reset";
    return this.#clock.now() >= entry.expiresAt ? "lifetime" : undefined;
  }

  /** One opening for each waiter, as far as there is room. */
  #openForWaiters(): void {
    while (
      this.#connecting < this.#waiters.size && this.#taken < this.#options.maxOpen &&
      !this.#isClosing
    ) void this.#open();
  }

  /** Never rejects: a failure goes to the waiter whose turn it is. */
  async #open(): Promise<void> {
    this.#connecting++;
    const generation = this.#generation;
    try {
      const resource = await this.#options.open(this.#shutdown.signal);
      this.#connecting--;
      this.#adopt(resource, generation);
    } catch (error) {
      this.#connecting--;
      this.#waiters.failNext(error);
    }
    this.#openForWaiters();
    this.#checkDrained();
  }

  #adopt(resource: R, generation: number): void {
    const { maxLifetimeMs } = this.#options;
    const lifetimeMs = maxLifetimeMs === 0 ? Infinity : maxLifetimeMs * (1 - this.#random() / 10);
    const now = this.#clock.now();
    const entry = {
      resource,
      generation,
      expiresAt: now + lifetimeMs,
      idleSince: now,
      inUse: false,
    };
    this.#entries.set(resource, entry);
    this.#counters.openedCount++;
    void resource.whenClosed.then(() => this.#onClosed(entry));
    const reason = this.#unfitReason(entry, false);
    if (reason === undefined) this.#offer(entry);
    else this.#drop(entry, reason);
  }

  #onClosed(entry: Entry<R>): void {
    if (!this.#idle.remove(entry)) return;
    this.#drop(entry, "error");
    this.#options.onIdleClosed?.();
  }

  /** Closes a resource that is neither idle nor in use any more. */
  #drop(entry: Entry<R>, reason: CloseReason): void {
    this.#entries.delete(entry.resource);
    this.#counters.closedCount[reason]++;
    if (reason === "error" || reason === "reset") {
      entry.resource.destroy();
      this.#checkDrained();
      return;
    }
    // It keeps its place until it has closed, or the other side could see one too many.
    this.#closing++;
    const onEnd = () => {
      this.#closing--;
      this.#openForWaiters();
      this.#checkDrained();
    };
    entry.resource.close().then(onEnd, onEnd);
  }

  #destroyAll(): void {
    for (const entry of this.#entries.values()) {
      this.#counters.closedCount.shutdown++;
      entry.resource.destroy();
    }
    this.#entries.clear();
    this.#inUse = 0;
    this.#drained.resolve();
  }

  #checkDrained(): void {
    if (this.#isClosing && this.#taken === 0) this.#drained.resolve();
  }

  #acquireTimeout(timeoutMs: number): DatabaseError {
    const { max, inUse, connecting, waiting } = this.stats();
    return new DatabaseError("ACQUIRE_TIMEOUT", {
      message: `No database connection within ${timeoutMs} ms: ${inUse} of ${max} in use, ` +
        `${connecting} connecting, ${waiting} waiting (DB_MAX_CONNECTIONS, DB_ACQUIRE_TIMEOUT)`,
    });
  }
}
