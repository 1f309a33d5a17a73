/**
 * Settles as `promise` does, or rejects with the signal's reason as soon as it aborts. The promise
 * itself is not stopped; its late result or error is dropped.
 *
 * Unlike the database's function of this name it passes the reason on unchanged, because Connect
 * tells a deadline from a cancellation by it.
 */
export async function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
