import type { TargetSessionAttrs } from "../../config/mod.ts";
import { DatabaseError } from "../errors.ts";
import { retry } from "../retry.ts";
import { BackgroundTask } from "./background_task.ts";
import type { PoolContext } from "./context.ts";
import { askOutside } from "./ping.ts";
import type { ServerState } from "./server_state.ts";

/** With these the answer can change. A list of standbys never takes writes. */
const MAY_TAKE_WRITES: ReadonlySet<TargetSessionAttrs> = new Set([
  "any",
  "prefer-read-write",
  "primary",
]);

/**
 * Waits until a server that refuses writes takes them: after a promotion, a changed setting, or a
 * repaired schema. It asks in a new session outside the pool each time, because sessions keep the
 * settings that they started with.
 */
export class WriteWatch {
  readonly #context: PoolContext;
  readonly #server: ServerState;
  readonly #isNeeded: () => boolean;
  readonly #task = new BackgroundTask((signal) => this.#watch(signal), () => this.#isNeeded());

  /**
   * Asks nothing until {@linkcode WriteWatch.start}.
   *
   * @param isNeeded Whether the server is known to refuse writes, and can be asked.
   */
  constructor(context: PoolContext, server: ServerState, isNeeded: () => boolean) {
    this.#context = context;
    this.#server = server;
    this.#isNeeded = isNeeded;
  }

  /** Starts to ask, where the answer can change. */
  start(): void {
    const { targetSessionAttrs } = this.#context.config;
    const canChange = MAY_TAKE_WRITES.has(targetSessionAttrs) ||
      this.#server.writesBlockedBy !== undefined;
    if (canChange) this.#task.start();
  }

  /** Stops asking. */
  stop(): void {
    this.#task.stop();
  }

  /** Stops asking for good, and waits for its end. */
  close(): Promise<void> {
    return this.#task.close();
  }

  #watch(signal: AbortSignal): Promise<void> {
    const { config, clock, random } = this.#context;
    return retry(() => this.#ask(signal), {
      initialDelayMs: config.retryInitialDelayMs,
      maxDelayMs: config.retryMaxDelayMs,
      authRetryDelayMs: config.authRetryDelayMs,
      signal,
      clock,
      random,
      onFailure: () => {},
    });
  }

  async #ask(signal: AbortSignal): Promise<void> {
    if (!this.#isNeeded()) return;
    const role = await askOutside(this.#context, signal);
    if (role.readOnly) throw new DatabaseError("READ_ONLY");
    await this.#server.takesWrites(role, signal);
  }
}
