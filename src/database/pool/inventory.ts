import type { ResolvedOptions, Resource } from "./options.ts";
import type { CloseReason, PoolCounters } from "./stats.ts";

/** An open resource and what the pool knows about it. */
export interface Entry<R> {
  readonly resource: R;
  /** Number of resets before its opening began. */
  readonly generation: number;
  /** In the clock's milliseconds; Infinity for no end. */
  readonly expiresAt: number;
  idleSince: number;
  /** Whether a caller has it. */
  inUse: boolean;
}

/** What an {@linkcode Inventory} tells its pool. */
export interface InventoryEvents<R> {
  readonly onOpened: (entry: Entry<R>) => void;
  readonly onOpenFailed: (error: unknown) => void;
  /** A place has become free. */
  readonly onFreed: () => void;
}

/**
 * Everything that takes a place on the other side, which is limited: what is being opened, what is
 * open, and what is being closed.
 */
export class Inventory<R extends Resource> {
  readonly #options: ResolvedOptions<R>;
  readonly #counters: PoolCounters;
  readonly #events: InventoryEvents<R>;
  readonly #entries = new Map<R, Entry<R>>();
  readonly #closing = new Set<R>();
  #connecting = 0;
  #generation = 0;

  constructor(options: ResolvedOptions<R>, counters: PoolCounters, events: InventoryEvents<R>) {
    this.#options = options;
    this.#counters = counters;
    this.#events = events;
  }

  get connecting(): number {
    return this.#connecting;
  }

  get closing(): number {
    return this.#closing.size;
  }

  get isEmpty(): boolean {
    return this.#taken === 0;
  }

  get canOpen(): boolean {
    const { maxOpen, maxConnecting } = this.#options;
    return this.#taken < maxOpen && this.#connecting < maxConnecting;
  }

  get inUse(): readonly R[] {
    const entries = [...this.#entries.values()].filter(({ inUse }) => inUse);
    return entries.map(({ resource }) => resource);
  }

  find(resource: R): Entry<R> | undefined {
    return this.#entries.get(resource);
  }

  /** Begins an opening; an event tells how it ended. */
  open(signal: AbortSignal): void {
    this.#connecting++;
    const generation = this.#generation;
    void this.#options.open(signal).then(
      (resource) => {
        this.#connecting--;
        this.#events.onOpened(this.#add(resource, generation));
      },
      (error) => {
        this.#connecting--;
        this.#events.onOpenFailed(error);
      },
    );
  }

  /** Makes everything stale that is open or being opened now. */
  startGeneration(): void {
    this.#generation++;
  }

  isStale({ generation }: Entry<R>): boolean {
    return generation !== this.#generation;
  }

  close({ resource }: Entry<R>, reason: CloseReason): void {
    // Closing by force may have been faster.
    if (!this.#entries.delete(resource)) return;
    this.#counters.closedCount[reason]++;
    if (reason === "error" || reason === "reset") {
      resource.destroy();
      this.#events.onFreed();
      return;
    }
    // It keeps its place until it has closed, or the other side could see one too many.
    this.#closing.add(resource);
    const onClosed = () => {
      this.#closing.delete(resource);
      this.#events.onFreed();
    };
    resource.close().then(onClosed, onClosed);
  }

  /** Ends everything that is open at once, and what is being closed. */
  destroyAll(): void {
    for (const { resource } of this.#entries.values()) {
      this.#counters.closedCount.shutdown++;
      resource.destroy();
    }
    this.#entries.clear();
    for (const resource of this.#closing) resource.destroy();
  }

  get #taken(): number {
    return this.#entries.size + this.#connecting + this.#closing.size;
  }

  #add(resource: R, generation: number): Entry<R> {
    const { clock, random, maxLifetimeMs } = this.#options;
    const now = clock.now();
    const lifetimeMs = maxLifetimeMs * (1 - random() / 10);
    const entry = {
      resource,
      generation,
      expiresAt: now + lifetimeMs,
      idleSince: now,
      inUse: false,
    };
    this.#entries.set(resource, entry);
    this.#counters.openedCount++;
    return entry;
  }
}
