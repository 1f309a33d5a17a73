import { DatabaseError } from "../errors.ts";

/**
 * Work without a caller: at most one run at a time, which `stop` aborts and `close` waits for.
 * What a run throws is dropped, so it has to report its failures itself.
 */
export class BackgroundTask {
  readonly #work: (signal: AbortSignal) => Promise<unknown>;
  readonly #isNeeded: () => boolean;
  #run: AbortController | undefined;
  #isRestarting = false;
  #ended: Promise<void> = Promise.resolve();
  #isClosed = false;

  /**
   * Runs nothing until {@linkcode BackgroundTask.start}.
   *
   * @param work Must end soon after the signal aborts.
   * @param isNeeded Asked when a run ends: whether another one must follow. Default: never.
   */
  constructor(
    work: (signal: AbortSignal) => Promise<unknown>,
    isNeeded: () => boolean = () => false,
  ) {
    this.#work = work;
    this.#isNeeded = isNeeded;
  }

  /** Starts a run, unless one is in progress. */
  start(): void {
    if (this.#run !== undefined || this.#isClosed) return;
    this.#run = new AbortController();
    this.#ended = this.#runOnce(this.#run.signal);
  }

  /** Aborts the run in progress and starts another, which sees the state as it is now. */
  restart(): void {
    this.stop();
    this.#isRestarting = this.#run !== undefined;
    this.start();
  }

  /** Aborts the run in progress. */
  stop(): void {
    this.#isRestarting = false;
    this.#run?.abort(new DatabaseError("ABORTED"));
  }

  /** Aborts the run in progress, waits for its end, and starts none again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.stop();
    await this.#ended;
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    await this.#work(signal).catch(() => {});
    this.#run = undefined;
    const isNeeded = this.#isRestarting || this.#isNeeded();
    this.#isRestarting = false;
    if (isNeeded) this.start();
  }
}
