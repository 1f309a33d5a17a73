import type { Logger } from "./log/mod.ts";

const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/**
 * One Ctrl-C can arrive twice: the terminal sends it to the whole process group, and `deno task`
 * and npx pass on what they get. Later than this it is a second one.
 */
const SAME_SIGNAL_MS = 500;

/**
 * Time for what still runs on the database, after SHUTDOWN_TIMEOUT has ended the requests. Together
 * they stay inside of the specification's 30 seconds.
 */
export const DATABASE_CLOSE_TIMEOUT_MS = 2_000;

/**
 * Resolves when the process is told to stop. From then on, each further signal calls `onNext`.
 */
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

/** A bug must not take the service down; it must be seen. */
export function reportStrayErrors(logger: Logger): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    logger.error({ event: "bug.unhandled_rejection", err: event.reason }, "A promise had no owner");
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    logger.error({ event: "bug.uncaught_error", err: event.error }, "An error had no owner");
  });
}
