import type { Logger } from "./telemetry/mod.ts";

const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/** Resolves when the process is told to stop. From then on, `onNext` is called for each further signal. */
export function stopSignal(onNext: () => void): Promise<Deno.Signal> {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  let isStopping = false;
  for (const signal of STOP_SIGNALS) {
    Deno.addSignalListener(signal, () => {
      if (isStopping) return onNext();
      isStopping = true;
      resolve(signal);
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
