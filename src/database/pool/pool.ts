import { abortable, type Clock, Deadline, systemClock } from "../../time.ts";
import { IdleStack, passesCheck } from "./idle.ts";
import { type Leak, LeakDetector } from "./leak_detector.ts";
import { OpeningPolicy } from "./opening.ts";
import { type CloseReason, PoolCounters, type PoolStats } from "./stats.ts";
import { WaitQueue } from "./wait_queue.ts";

/** Something that takes time to open, can break, and is worth keeping. */
export interface Resource {
  /** Once true, the resource is never handed out again. */
  readonly closed: boolean;
  /** Resolves when the resource has closed by itself or otherwise. Must not reject. */
  readonly whenClosed: Promise<void>;
  /** Closes gracefully, in bounded time. */
  close(): Promise<void>;
  /** Closes at once. */
  destroy(): void;
}

/**
 * What a {@linkcode Pool} opens, how many of it, and for how long. Only `open` is required.
 *
 * Where the service's configuration has the setting too, it has its name without the word
 * "connection": `maxConnections` is `max`, `connectionMaxLifetimeMs` is `maxLifetimeMs`.
 */
export interface PoolOptions<R extends Resource> {
  /** Opens a resource; must give up soon after the signal aborts. */
  readonly open: (signal: AbortSignal) => Promise<R>;
  /** Maximum number of resources that are open, being opened or being closed; default: 10. */
  readonly max?: number | undefined;
  /** Maximum number of openings at the same time; default: no limit but `max`. */
  readonly maxConnecting?: number | undefined;

  /** Maximum number of idle resources: one that is released beyond it is closed; default: `max`. */
  readonly maxIdle?: number | undefined;
  /**
   * Number of resources kept idle, from the first successful opening or `warmUp` on; one that ends
   * by age is replaced. At most `maxIdle`; default: 0.
   */
  readonly minIdle?: number | undefined;

  /**
   * Milliseconds after which a resource is closed when it is not in use, shortened by up to a tenth,
   * so that resources do not all end together; 0 (the default) means unlimited.
   */
  readonly maxLifetimeMs?: number | undefined;
  /** Milliseconds after which an idle resource is closed; 0 (the default) means unlimited. */
  readonly maxIdleTimeMs?: number | undefined;

  /** Milliseconds that an acquire waits unless it says otherwise; default: 5,000. */
  readonly acquireTimeoutMs?: number | undefined;
  /**
   * Maximum number of callers that wait for what others use; default: no limit. A caller for whom
   * something can be opened or checked at once is not one of them, so 0 means: no caller waits for a
   * release.
   */
  readonly acquireQueueLimit?: number | undefined;
  /**
   * Whether the reason of a caller's signal says that its time was over; then the statistics count a
   * timeout. By default a `TimeoutError`, such as `AbortSignal.timeout` has.
   */
  readonly isTimeout?: ((reason: unknown) => boolean) | undefined;

  /** Proves that a resource works, else rejects; must give up soon after the signal aborts. */
  readonly check?: ((resource: R, signal: AbortSignal) => Promise<void>) | undefined;
  /** Idle milliseconds after which a resource is checked before use; 0 (the default) means always. */
  readonly idleCheckAfterMs?: number | undefined;
  /** Milliseconds after which a check has failed; default: 1,000. */
  readonly checkTimeoutMs?: number | undefined;
  /** Called when an idle resource turns out to be dead: it closed by itself or failed its check. */
  readonly onIdleClosed?: (() => void) | undefined;

  /**
   * Milliseconds to wait after the nth failure in a row, before another opening that no caller waits
   * for. The error is undefined when an idle resource closed by itself. By default a
   * random part of 200 ms, doubled with each failure up to 10 s.
   */
  readonly retryDelayMs?: ((error: unknown, failures: number) => number) | undefined;
  /**
   * Whether an opening's error speaks against new resources, while those that are open work, such as
   * a server's "too many connections". While something is in use, callers then wait for it, and for
   * `retryDelayMs` nothing is opened. By default none does.
   */
  readonly isRefusal?: ((error: unknown) => boolean) | undefined;
  /** Called with each refusal while something is in use. */
  readonly onOpenRefused?: ((error: unknown) => void) | undefined;

  /** Milliseconds of use after which `onLeak` is called; 0 (the default) is off. */
  readonly leakWarningAfterMs?: number | undefined;
  /** Called once for each use that is too long. Must not throw. */
  readonly onLeak?: ((leak: Leak) => void) | undefined;

  /** The machine's by default. */
  readonly clock?: Clock | undefined;
  /** From 0 up to 1, for the jitter; default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** How one {@linkcode Pool.acquire} waits. */
export interface AcquireOptions {
  /** Aborting it ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Infinity waits until the signal aborts or the pool closes; default: the pool's. */
  readonly timeoutMs?: number | undefined;
  /** Joins the queue also when it is full; default: false. For the few who must learn how it goes. */
  readonly evenIfQueueFull?: boolean | undefined;
}

/** How long {@linkcode Pool.close} waits for what is in use. */
export interface CloseOptions {
  /** Aborting it destroys what is still in use. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for what is in use to come back, before it is destroyed; default: no limit. */
  readonly timeoutMs?: number | undefined;
}

/** Why a pool gave no resource. */
export type PoolErrorCode =
  /** None was ready in time. */
  | "ACQUIRE_TIMEOUT"
  /** As many callers waited as may wait. */
  | "QUEUE_FULL"
  /** The pool is closed. */
  | "POOL_CLOSED";

/** A pool's own error. Those of `open` and the reasons of signals are passed on as they are. */
export class PoolError extends Error {
  /** Tells it from other errors also where `instanceof` cannot. */
  override readonly name = "PoolError";
  /** Why there is no resource; never changes its spelling. */
  readonly code: PoolErrorCode;
  /** The pool at that moment. */
  readonly stats: PoolStats;

  /** Made by a pool. */
  constructor(code: PoolErrorCode, message: string, stats: PoolStats) {
    super(message);
    this.code = code;
    this.stats = stats;
  }
}

/** An open resource and what the pool knows about it. */
interface Entry<R> {
  readonly resource: R;
  /** Number of resets before its opening began. */
  readonly generation: number;
  /** When its lifetime ends, on the clock; Infinity for never. */
  readonly expiresAt: number;
  idleSince: number;
  /** Whether a caller has it. */
  inUse: boolean;
}

/**
 * A bounded pool with the semantics of Go's database/sql: resources are opened on demand up to a
 * limit, the most recently used is handed out first, and callers that find none wait in order.
 *
 * It holds anything that takes time to open and can break. Here, sockets to an echo server:
 *
 * ```ts
 * import { once } from "node:events";
 * import { type AddressInfo, connect, createServer, type Socket } from "node:net";
 *
 * class Line implements Resource {
 *   readonly whenClosed: Promise<void>;
 *   constructor(readonly socket: Socket) {
 *     this.whenClosed = new Promise((resolve) => socket.once("close", () => resolve()));
 *   }
 *   get closed() {
 *     return this.socket.destroyed;
 *   }
 *   async close() {
 *     this.socket.destroySoon();
 *     await this.whenClosed;
 *   }
 *   destroy() {
 *     this.socket.destroy();
 *   }
 * }
 *
 * const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
 * await once(server, "listening");
 * const { port } = server.address() as AddressInfo;
 *
 * const pool = new Pool({
 *   max: 4,
 *   open: async (signal) => {
 *     const socket = connect(port, "127.0.0.1");
 *     await once(socket, "connect", { signal });
 *     return new Line(socket);
 *   },
 * });
 * const line = await pool.acquire({ signal: AbortSignal.timeout(1_000) });
 * try {
 *   line.socket.write("hello");
 *   console.log(String((await once(line.socket, "data"))[0])); // hello
 * } finally {
 *   pool.release(line);
 * }
 * await pool.close({ timeoutMs: 1_000 });
 * server.close();
 * ```
 *
 * Where nothing in it is asynchronous, `pool.tryAcquire() ?? await pool.acquire()` saves the wait for
 * a promise whenever something is idle.
 */
export class Pool<R extends Resource> implements AsyncDisposable {
  // Every open resource has an entry in `#entries`, and is exactly one of: in use (`entry.inUse`),
  // idle (in `#idle`), or being checked (in `#checking`). What is being opened or closed takes a
  // place too, because the other side counts it: `#taken` is never more than `max`.
  //
  // No opening belongs to a caller. While callers wait, one opening or check is under way for each as
  // far as the limits allow, and what becomes ready, also by a release, goes to the first of them.
  // Whatever may have changed what is possible calls `#replenish`, which sees to that.
  //
  // A caller is never overtaken: while callers wait, nothing is idle but what needs a check.

  readonly #options: ReturnType<typeof withDefaults<R>>;
  readonly #entries = new Map<R, Entry<R>>();
  readonly #idle: IdleStack<Entry<R>>;
  readonly #checking = new Set<R>();
  readonly #closing = new Set<R>();
  #connecting = 0;
  #inUse = 0;
  /** Number of resets; entries of an earlier generation are closed when they come back. */
  #generation = 0;

  readonly #waiters: WaitQueue<R>;
  readonly #opening: OpeningPolicy;
  /** Undefined when it is off. */
  readonly #leaks: LeakDetector<R> | undefined;
  readonly #counters = new PoolCounters();

  #isClosing = false;
  /** Ends openings and checks when the pool closes. */
  readonly #shutdown = new AbortController();
  /** Resolves when a closing pool has nothing left, or has destroyed it. */
  readonly #drained = Promise.withResolvers<void>();

  /**
   * Opens nothing yet.
   *
   * @throws {RangeError} When `max` or `maxConnecting` is less than 1: no caller could be served.
   */
  constructor(options: PoolOptions<R>) {
    this.#options = withDefaults(options);
    const { clock, maxIdleTimeMs, acquireTimeoutMs, leakWarningAfterMs, onLeak } = this.#options;
    this.#idle = new IdleStack(clock, maxIdleTimeMs, (entry, reason) => {
      this.#expired(entry, reason);
    });
    this.#waiters = new WaitQueue(clock, acquireTimeoutMs);
    this.#opening = new OpeningPolicy(this.#options, () => this.#replenish());
    if (onLeak !== undefined && leakWarningAfterMs !== Infinity) {
      this.#leaks = new LeakDetector(clock, leakWarningAfterMs, onLeak);
    }
  }

  /** Takes an idle resource that needs no check, or nothing when there is none. */
  tryAcquire(): R | undefined {
    const entry = this.#idle.take(this.#options.idleCheckAfterMs);
    if (entry === undefined) return undefined;
    const resource = this.#handOut(entry);
    this.#leaks?.begin(resource, this.#leaks.trace(this.tryAcquire));
    if (this.#idle.size < this.#options.minIdle) this.#replenish();
    return resource;
  }

  /**
   * Takes an idle resource, or waits for one that is released, checked or newly opened.
   * Give it back with {@linkcode Pool.release}.
   *
   * @throws {PoolError} `ACQUIRE_TIMEOUT`, `QUEUE_FULL` or `POOL_CLOSED`.
   * @throws The signal's reason; or the error of an opening when no other is under way for this
   * caller.
   */
  acquire(options: AcquireOptions = {}): Promise<R> {
    const { signal, timeoutMs = this.#options.acquireTimeoutMs, evenIfQueueFull = false } = options;
    if (this.#isClosing) return Promise.reject(this.#poolClosed());
    if (signal?.aborted) return Promise.reject(signal.reason);
    const resource = this.tryAcquire();
    if (resource !== undefined) return Promise.resolve(resource);

    const { clock, acquireQueueLimit, isTimeout } = this.#options;
    const queued = this.#queuedWithOneMore;
    if (queued > acquireQueueLimit && !evenIfQueueFull) {
      this.#counters.rejectedCount++;
      return Promise.reject(this.#queueFull());
    }
    if (queued > 0) this.#counters.waitCount++;
    const startedAt = clock.now();
    const trace = this.#leaks?.trace(this.acquire);
    const wait = this.#waiters.join({
      timeoutMs,
      signal,
      onTimeout: () => this.#acquireTimeout(timeoutMs),
      onEnd: (outcome, resource) => {
        const isLate = outcome === "aborted" ? isTimeout(signal?.reason) : outcome === "timeout";
        if (isLate) this.#counters.acquireTimeoutCount++;
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
    const entry = this.#entries.get(resource);
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

  /** The resources that callers have at the moment. */
  get inUse(): readonly R[] {
    const entries = [...this.#entries.values()].filter(({ inUse }) => inUse);
    return entries.map(({ resource }) => resource);
  }

  /** A frozen snapshot. */
  stats(): PoolStats {
    return this.#counters.snapshot({
      max: this.#options.max,
      inUse: this.#inUse + this.#checking.size,
      idle: this.#idle.size,
      connecting: this.#connecting,
      closing: this.#closing.size,
      waiting: this.#waiters.size,
    });
  }

  /** Opens what is missing to `minIdle` now, even if openings have failed; for a recovery. */
  warmUp(): void {
    if (this.#isClosing) return;
    this.#opening.resume();
    this.#replenish();
  }

  /**
   * Drops everything that is open now: what is idle or being checked at once, what is in use when
   * it is released. For when the other side has restarted.
   */
  reset(): void {
    this.#generation++;
    // Their checks fail now.
    for (const resource of this.#checking) resource.destroy();
    for (const entry of this.#idle.clear()) this.#close(entry, "reset");
  }

  /**
   * As {@linkcode Pool.reset}, and opens nothing for `minIdle` until {@linkcode Pool.warmUp}. For
   * when the other side is to be left alone.
   */
  empty(): void {
    this.#opening.stop();
    this.reset();
  }

  /** Rejects everyone who waits, each with an error of its own; for when nothing will come. */
  rejectWaiters(makeError: () => unknown): void {
    this.#waiters.failAll(makeError);
  }

  /**
   * Rejects every waiter, closes what is idle, and waits until everything in use has come back and
   * is closed. When the time is over or the signal aborts, what is left is destroyed. Can be
   * called again, for instance with less patience.
   */
  async close({ signal, timeoutMs = Infinity }: CloseOptions = {}): Promise<void> {
    const { clock } = this.#options;
    this.#isClosing = true;
    this.#shutdown.abort(this.#poolClosed());
    this.#opening.stop();
    this.#waiters.failAll(() => this.#poolClosed());
    for (const entry of this.#idle.clear()) this.#close(entry, "shutdown");
    this.#replenish();
    using patience = new Deadline({ timeoutMs, signal, clock });
    await abortable(this.#drained.promise, patience.signal).catch(() => this.#destroyAll());
    this.#leaks?.stop();
  }

  /** As {@linkcode Pool.close} without a time limit. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Places on the other side. */
  get #taken(): number {
    return this.#entries.size + this.#connecting + this.#closing.size;
  }

  /** What will be ready without a release. */
  get #preparing(): number {
    return this.#connecting + this.#checking.size;
  }

  get #canOpen(): boolean {
    const { max, maxConnecting } = this.#options;
    if (this.#opening.isRefused && this.#inUse > 0) return false;
    return this.#taken < max && this.#connecting < maxConnecting;
  }

  /** Callers that would wait for others, if one more came. */
  get #queuedWithOneMore(): number {
    const canPrepare = this.#idle.size > 0 || this.#canOpen;
    return Math.max(0, this.#waiters.size + 1 - this.#preparing - Number(canPrepare));
  }

  /**
   * Checks what is idle, then opens, one resource for each waiter, and opens what is missing to
   * `minIdle`. A closing pool has only its end left.
   */
  #replenish(): void {
    if (this.#isClosing) {
      if (this.#taken === 0) this.#drained.resolve();
      return;
    }
    // Also beside openings that are under way: those can take long, or fail.
    while (this.#checking.size < this.#waiters.size) {
      const entry = this.#idle.take();
      if (entry === undefined) break;
      void this.#check(entry);
    }
    while (this.#preparing < this.#waiters.size) {
      if (!this.#canOpen) return;
      void this.#open();
    }
    const willBeIdle = () => this.#idle.size + this.#preparing - this.#waiters.size;
    while (this.#opening.wantsMoreThan(willBeIdle()) && this.#canOpen) void this.#open();
  }

  /** Never rejects: its error is for the first waiter, if for anyone. */
  async #open(): Promise<void> {
    const { open, clock, maxLifetimeMs, random } = this.#options;
    this.#connecting++;
    const generation = this.#generation;
    let resource: R;
    try {
      resource = await open(this.#shutdown.signal);
    } catch (error) {
      this.#connecting--;
      return this.#openFailed(error);
    }
    this.#connecting--;
    this.#counters.openedCount++;
    const idleSince = clock.now();
    const expiresAt = idleSince + maxLifetimeMs * (1 - random() / 10);
    const entry = { resource, generation, expiresAt, idleSince, inUse: false };
    this.#entries.set(resource, entry);
    this.#opening.opened(resource);
    void resource.whenClosed.then(() => this.#closedByItself(entry));
    this.#passOn(entry, false);
    this.#replenish();
  }

  #openFailed(error: unknown): void {
    if (!this.#isClosing) {
      this.#counters.openFailedCount++;
      const waitsForRelease = this.#opening.failed(error, this.#inUse > 0);
      // Somebody has to learn of it, unless something else is on the way for everyone.
      if (!waitsForRelease && this.#preparing < this.#waiters.size) this.#waiters.failNext(error);
    }
    this.#replenish();
  }

  /** Never rejects: who waits for it gets another one when it fails. */
  async #check(entry: Entry<R>): Promise<void> {
    const { resource } = entry;
    this.#checking.add(resource);
    const isAlive = await passesCheck(resource, this.#options, this.#shutdown.signal);
    this.#checking.delete(resource);
    const ending = this.#passOn(entry, !isAlive && !this.#isClosing);
    if (ending === "error" && !this.#isClosing) this.#options.onIdleClosed?.();
  }

  #closedByItself(entry: Entry<R>): void {
    if (this.#idle.remove(entry)) this.#expired(entry, "error");
  }

  /** Closes what was idle. */
  #expired(entry: Entry<R>, reason: CloseReason): void {
    if (reason === "error") this.#opening.closedByItself();
    this.#close(entry, reason);
    if (reason === "error") this.#options.onIdleClosed?.();
  }

  /** Hands a free resource to the first waiter, keeps it idle, or closes it; returns why it closed. */
  #passOn(entry: Entry<R>, broken: boolean): CloseReason | undefined {
    const now = this.#options.clock.now();
    const unfit = this.#unfitReason(entry, broken, now);
    if (unfit !== undefined) this.#close(entry, unfit);
    else if (this.#waiters.size > 0) this.#waiters.serveNext(this.#handOut(entry));
    else this.#idle.put(entry, now);
    return unfit;
  }

  #unfitReason(entry: Entry<R>, broken: boolean, now: number): CloseReason | undefined {
    if (entry.generation !== this.#generation) return "reset";
    if (broken || entry.resource.closed) return "error";
    if (this.#isClosing) return "shutdown";
    if (now >= entry.expiresAt) return "lifetime";
    const isSpare = this.#idle.size >= this.#options.maxIdle && this.#waiters.size === 0;
    return isSpare ? "maxIdle" : undefined;
  }

  #handOut(entry: Entry<R>): R {
    entry.inUse = true;
    this.#inUse++;
    this.#counters.acquireCount++;
    return entry.resource;
  }

  #close({ resource }: Entry<R>, reason: CloseReason): void {
    // Closing by force may have been faster.
    if (!this.#entries.delete(resource)) return;
    this.#counters.closedCount[reason]++;
    if (reason === "error" || reason === "reset") {
      resource.destroy();
      this.#replenish();
      return;
    }
    // It keeps its place until it has closed, or the other side could see one too many.
    this.#closing.add(resource);
    const onClosed = () => {
      this.#closing.delete(resource);
      this.#replenish();
    };
    resource.close().then(onClosed, onClosed);
  }

  /** Ends everything that is open at once, and what is being closed. */
  #destroyAll(): void {
    for (const resource of this.#entries.keys()) {
      this.#counters.closedCount.shutdown++;
      resource.destroy();
    }
    this.#entries.clear();
    this.#inUse = 0;
    for (const resource of this.#closing) resource.destroy();
    this.#drained.resolve();
  }

  #acquireTimeout(timeoutMs: number): PoolError {
    const stats = this.stats();
    const message = `No resource within ${timeoutMs} ms: ${situation(stats)}`;
    return new PoolError("ACQUIRE_TIMEOUT", message, stats);
  }

  #queueFull(): PoolError {
    const stats = this.stats();
    return new PoolError("QUEUE_FULL", `Too many callers wait: ${situation(stats)}`, stats);
  }

  #poolClosed(): PoolError {
    return new PoolError("POOL_CLOSED", "The pool is closed", this.stats());
  }
}

function situation({ max, inUse, connecting, waiting }: PoolStats): string {
  return `${inUse} of ${max} in use, ${connecting} connecting, ${waiting} waiting`;
}

function withDefaults<R extends Resource>(options: PoolOptions<R>) {
  const { max = 10, maxConnecting = Infinity, maxIdle = max } = options;
  const { clock = systemClock, random = Math.random } = options;
  for (const [name, limit] of Object.entries({ max, maxConnecting })) {
    if (!(limit >= 1)) throw new RangeError(`A pool's ${name} must be at least 1, and is ${limit}`);
  }
  return {
    ...options,
    max,
    maxConnecting,
    maxIdle,
    // More could not be kept, and would be opened again and again.
    minIdle: Math.min(options.minIdle ?? 0, maxIdle, max),
    maxLifetimeMs: options.maxLifetimeMs || Infinity,
    maxIdleTimeMs: options.maxIdleTimeMs || Infinity,
    acquireTimeoutMs: options.acquireTimeoutMs ?? 5_000,
    acquireQueueLimit: options.acquireQueueLimit ?? Infinity,
    isTimeout: options.isTimeout ?? isTimeoutError,
    idleCheckAfterMs: options.check === undefined ? Infinity : options.idleCheckAfterMs ?? 0,
    checkTimeoutMs: options.checkTimeoutMs ?? 1_000,
    retryDelayMs: options.retryDelayMs ??
      ((_error, failures) => random() * Math.min(10_000, 200 * 2 ** (failures - 1))),
    isRefusal: options.isRefusal ?? (() => false),
    leakWarningAfterMs: options.leakWarningAfterMs || Infinity,
    clock,
    random,
  };
}

function isTimeoutError(reason: unknown): boolean {
  return reason instanceof Error && reason.name === "TimeoutError";
}
