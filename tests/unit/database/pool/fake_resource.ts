import { Pool, type PoolOptions, type Resource } from "../../../../src/database/pool/mod.ts";
import { FakeClock } from "../fake_clock.ts";

/** A resource that does what the test tells it. */
export class FakeResource implements Resource {
  readonly id: number;
  readonly whenClosed: Promise<void>;
  closed = false;
  /** How the pool closed it. */
  ending: "close" | "destroy" | undefined;
  #settleClosed: () => void = () => {};

  constructor(id: number) {
    this.id = id;
    this.whenClosed = new Promise((resolve) => this.#settleClosed = resolve);
  }

  /** Ends with {@linkcode finishClose}, as a goodbye to a server takes time. */
  async close(): Promise<void> {
    this.ending ??= "close";
    await this.whenClosed;
  }

  finishClose(): void {
    this.closed = true;
    this.#settleClosed();
  }

  destroy(): void {
    this.ending ??= "destroy";
    this.finishClose();
  }

  /** Closes by itself, as a killed backend does. */
  die(): void {
    this.finishClose();
  }
}

/** Openings that a test completes by hand. */
export class FakeFactory {
  readonly opened: FakeResource[] = [];
  readonly #openings: PromiseWithResolvers<FakeResource>[] = [];

  /** Openings that are under way. */
  get pending(): number {
    return this.#openings.length;
  }

  readonly open = (signal: AbortSignal): Promise<FakeResource> => {
    const opening = Promise.withResolvers<FakeResource>();
    this.#openings.push(opening);
    signal.addEventListener("abort", () => {
      const index = this.#openings.indexOf(opening);
      if (index === -1) return;
      this.#openings.splice(index, 1);
      opening.reject(signal.reason);
    });
    return opening.promise;
  };

  /** Completes an opening; the one that began first, unless told otherwise. */
  succeed(index = 0): FakeResource {
    const resource = new FakeResource(this.opened.length + 1);
    this.opened.push(resource);
    this.#take(index)?.resolve(resource);
    return resource;
  }

  fail(error: Error, index = 0): void {
    this.#take(index)?.reject(error);
  }

  /** Resources that the other side would still count. */
  get living(): readonly FakeResource[] {
    return this.opened.filter(({ closed }) => !closed);
  }

  #take(index: number): PromiseWithResolvers<FakeResource> | undefined {
    return this.#openings.splice(index % this.#openings.length, 1)[0];
  }
}

export interface TestPool {
  readonly pool: Pool<FakeResource>;
  readonly factory: FakeFactory;
  readonly clock: FakeClock;
}

export const ACQUIRE_TIMEOUT_MS = 1000;

/** A pool of fakes: three at most, two idle, no expiry, unless told otherwise. */
export function testPool(overrides: Partial<PoolOptions<FakeResource>> = {}): TestPool {
  const clock = new FakeClock();
  const factory = new FakeFactory();
  const pool = new Pool({
    open: factory.open,
    max: 3,
    maxIdle: 2,
    maxLifetimeMs: 0,
    maxIdleTimeMs: 0,
    acquireTimeoutMs: ACQUIRE_TIMEOUT_MS,
    clock,
    random: () => 0,
    ...overrides,
  });
  return { pool, factory, clock };
}

/** Acquires, completing the opening that it may need. */
export async function acquireOne({ pool, factory }: TestPool): Promise<FakeResource> {
  // Without a time limit, so that the queue needs no timer.
  const acquired = pool.acquire({ timeoutMs: Infinity });
  if (factory.pending > 0) factory.succeed();
  return await acquired;
}
