import type { DatabaseConfig, TargetSessionAttrs } from "../../config/mod.ts";
import { BackgroundTask } from "./background_task.ts";
import type { Clock } from "../clock.ts";
import type { ConnectOptions } from "../connection/connect.ts";
import type { ServerRole } from "../connection/connection.ts";
import { DatabaseError } from "../errors.ts";
import { askBeside } from "./ask_role.ts";
import { retry } from "../retry.ts";

/** What can give another answer later: a list of standbys never takes writes. */
const MAY_TAKE_WRITES: ReadonlySet<TargetSessionAttrs> = new Set([
  "any",
  "prefer-read-write",
  "primary",
]);

/** Settings of a {@linkcode WriteWatch}. */
export interface WriteWatchOptions {
  readonly config: DatabaseConfig;
  /** Whether the server still is known to refuse writes, and can be asked. */
  readonly isNeeded: () => boolean;
  /** Whether there is more against writes than the server's role. */
  readonly isHeldBack: () => boolean;
  /** Called when a server takes writes. When it rejects, the watch goes on. */
  readonly onWritable: (role: ServerRole, signal: AbortSignal) => Promise<void>;
  readonly connectOptions: ConnectOptions;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * Waits for the end of a server's refusal to write: a promotion, or a setting. It asks in a new
 * session beside the pool each time, because sessions keep the settings that they began with.
 */
export class WriteWatch {
  readonly #options: WriteWatchOptions;
  readonly #task: BackgroundTask;

  constructor(options: WriteWatchOptions) {
    this.#options = options;
    const { config, isNeeded, clock, random } = options;
    this.#task = new BackgroundTask({
      run: (signal) =>
        retry(() => this.#ask(signal), {
          initialDelayMs: config.retryInitialDelayMs,
          maxDelayMs: config.retryMaxDelayMs,
          authRetryDelayMs: config.authRetryDelayMs,
          signal,
          clock,
          random,
          onFailure: () => {},
        }),
      isNeeded,
    });
  }

  /** Begins to ask, where the answer can change. */
  start(): void {
    const { targetSessionAttrs } = this.#options.config;
    if (MAY_TAKE_WRITES.has(targetSessionAttrs) || this.#options.isHeldBack()) this.#task.start();
  }

  stop(): void {
    this.#task.stop();
  }

  close(): Promise<void> {
    return this.#task.close();
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { isNeeded, onWritable } = this.#options;
    if (!isNeeded()) return;
    const role = await askBeside(this.#options, signal);
    if (role.readOnly) throw new DatabaseError("READ_ONLY");
    await onWritable(role, signal);
  }
}
