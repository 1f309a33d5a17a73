/**
 * Runs visits, `atOnce` of them at any time, until all are done or one has failed.
 *
 * @throws What the first visit that failed has thrown, after those under way have ended.
 */
export async function crowd(
  visits: Iterable<() => Promise<void>>,
  atOnce: number,
): Promise<void> {
  const failures: unknown[] = [];
  const waiting = visits[Symbol.iterator]();
  const visitor = async () => {
    for (let next = waiting.next(); !next.done && failures.length === 0; next = waiting.next()) {
      await next.value().catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, visitor));
  if (failures.length > 0) throw failures[0];
}
