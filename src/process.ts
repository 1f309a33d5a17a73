import type { Logger } from "./log/mod.ts";

const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/**
 * A single Ctrl-C can arrive twice: the terminal sends SIGINT to the whole process group, and
 * `deno task` and npx forward it. Only a signal after this delay counts as a second one.
 */
const SAME_SIGNAL_MS = 500;

/**
 * Maximum time for database operations to finish on shutdown, after SHUTDOWN_TIMEOUT has ended the
 * requests. Together they are within the 30 seconds of the specification.
 */
export const DATABASE_CLOSE_TIMEOUT_MS = 2_000;

/** Resolves on the first SIGINT or SIGTERM. Each later one calls `onNext`. */
export function stopSignal(onNext: () => void): Promise<Deno.Signal> {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  let stoppedAt: number | undefined;
  for (const signal of STOP_SIGNALS) {
    Deno.addSignalListener(signal, () => {
      if (stoppedAt === undefined) {
        stoppedAt = performance.now();
        resolve(signal);
      } else if (performance.now() - stoppedAt > SAME_SIGNAL_MS) {
        onNext();
      }
    });
  }
  return promise;
}

/** Logs unhandled rejections and uncaught errors, which are bugs, instead of ending the process. */
export function reportStrayErrors(logger: Logger): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    logger.error(
      { event: "bug.unhandled_rejection", err: event.reason },
      "Unhandled promise rejection",
    );
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    logger.error({ event: "bug.uncaught_error", err: event.error }, "Uncaught error");
  });
}
