import { Pool, type PoolOptions, type Resource } from "../src/database/pool/mod.ts";

const MAX_OPEN = 25;

/** A resource that costs nothing. */
function openNothing(): Promise<Resource> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const close = () => Promise.resolve(resolve());
  return Promise.resolve({ closed: false, whenClosed: promise, close, destroy: resolve });
}

function poolOfNothing(options: Partial<PoolOptions<Resource>> = {}): Pool<Resource> {
  return new Pool({
    open: openNothing,
    max: MAX_OPEN,
    maxIdle: MAX_OPEN,
    maxLifetimeMs: 3_600_000,
    maxIdleTimeMs: 900_000,
    acquireTimeoutMs: 60_000,
    idleCheckAfterMs: 30_000,
    check: () => Promise.resolve(),
    ...options,
  });
}

/** Microseconds of each acquire and release without other callers. */
export async function uncontended(options: Partial<PoolOptions<Resource>>): Promise<number[]> {
  await using pool = poolOfNothing(options);
  const measure = async (times: number) => {
    const took: number[] = [];
    for (let time = 0; time < times; time++) {
      const startedAt = performance.now();
      pool.release(pool.tryAcquire() ?? await pool.acquire());
      took.push((performance.now() - startedAt) * 1000);
    }
    return took;
  };
  await measure(50_000);
  return await measure(200_000);
}

/** Milliseconds in which many queued callers are served one after the other. */
export async function drain(waiters: number): Promise<number> {
  await using pool = poolOfNothing();
  const held = await Promise.all(Array.from({ length: MAX_OPEN }, () => pool.acquire()));
  const startedAt = performance.now();
  const waits = Array.from({ length: waiters }, async () => pool.release(await pool.acquire()));
  for (const resource of held) pool.release(resource);
  await Promise.all(waits);
  return performance.now() - startedAt;
}
