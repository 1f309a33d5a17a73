import { DatabaseError } from "../errors.ts";

/** Settings of a {@linkcode BackgroundTask}. */
export interface BackgroundTaskOptions {
  /** Its failure is nobody's; it must end soon after the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<unknown>;
  /** Asked when a run ends: whether another one must follow. Default: never. */
  readonly isNeeded?: (() => boolean) | undefined;
}

/** Work without a caller, of which one run at most is under way, and which somebody waits for at the end. */
export class BackgroundTask {
  readonly #options: BackgroundTaskOptions;
  #run: AbortController | undefined;
  #isRestarting = false;
  #ended: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: BackgroundTaskOptions) {
    this.#options = options;
  }

  /** Begins a run, unless one is under way. */
  start(): void {
    if (this.#run !== undefined || this.#isClosed) return;
    this.#run = new AbortController();
    this.#ended = this.#runOnce(this.#run.signal);
  }

  /** Begins a run that knows of what is so now: the one that is under way is aborted. */
  restart(): void {
    this.stop();
    this.#isRestarting = this.#run !== undefined;
    this.start();
  }

  /** Aborts the run that is under way. */
  stop(): void {
    this.#isRestarting = false;
    this.#run?.abort(new DatabaseError("ABORTED"));
  }

  /** Aborts it for good, and waits for its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.stop();
    await this.#ended;
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    await this.#options.run(signal).catch(() => {});
    this.#run = undefined;
    const isNeeded = this.#isRestarting || this.#options.isNeeded?.() === true;
    this.#isRestarting = false;
    if (isNeeded) this.start();
  }
}
