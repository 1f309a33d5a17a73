/**
 * A signal that aborts with the first of several. Disposing it takes its listeners away.
 *
 * `AbortSignal.any` is not used because each call leaves some hundred bytes on a signal that lives
 * as long as the process (Deno 2.9.3), and there is a call for each check and each stream.
 */
export class AnySignal implements Disposable {
  readonly signal: AbortSignal;
  readonly #dispose: () => void;

  constructor(signals: readonly AbortSignal[]) {
    const controller = new AbortController();
    this.signal = controller.signal;
    const listeners = signals.map((signal) => {
      const onAbort = () => controller.abort(signal.reason);
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      return { signal, onAbort };
    });
    this.#dispose = () => {
      for (const { signal, onAbort } of listeners) signal.removeEventListener("abort", onAbort);
    };
  }

  [Symbol.dispose](): void {
    this.#dispose();
  }
}
