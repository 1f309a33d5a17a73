import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { type DependencyHealth, ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import type { DatabaseErrorCode, DatabaseManager, StateChange } from "../../../src/database/mod.ts";

const INTERVAL_MS = 20;

/** How a database manager is watched. */
export interface StoryOptions {
  readonly database: Pick<DatabaseManager, "onStateChange">;
  readonly check: () => Promise<DependencyHealth>;
}

/**
 * What is told of a database: to listeners, of every change of its state and access mode, and to
 * who asks for its health again and again.
 */
export class Story implements AsyncDisposable {
  readonly #check: StoryOptions["check"];
  readonly #changes: StateChange[] = [];
  /** Without repeats. */
  readonly #statuses: string[] = [];
  readonly #unsubscribe: () => void;
  readonly #watching: Promise<PromiseSettledResult<void>[]>;
  #isOver = false;

  constructor({ database, check }: StoryOptions) {
    this.#check = check;
    this.#unsubscribe = database.onStateChange((change) => void this.#changes.push(change));
    this.#watching = Promise.allSettled([this.#watchHealth()]);
  }

  /** @throws When the database has been given up, or has changed in another way. */
  assertNeverLost(): void {
    assert.deepEqual(this.#changes.map(inWords), ["connected READ_WRITE"]);
  }

  /** @throws When anybody was told of an outage. */
  assertNoOutage(): void {
    this.assertNeverLost();
    assert.ok(!this.#statuses.includes(UNHEALTHY), `health was ${this.#statuses}`);
  }

  /** @throws Unless an outage has begun, with one of these codes, and lasts. */
  assertLost(codes: readonly DatabaseErrorCode[]): void {
    const story = this.#changes.map(inWords).join();
    assert.deepEqual(this.#states, ["connected", "disconnected"], story);
    const reason = this.#changes[1]?.outage?.code;
    assert.ok(reason && codes.includes(reason), `not the reason: ${story}`);
    const lostAt = this.#statuses.indexOf(UNHEALTHY);
    const isLasting = lostAt === -1 || lostAt === this.#statuses.length - 1;
    assert.ok(isLasting, `it came and went: ${this.#statuses}`);
  }

  /** @throws Unless that outage is over, and has been the only one. */
  assertRecovered(): void {
    assert.deepEqual(this.#states, ["connected", "disconnected", "connected"]);
    const losses = this.#statuses.filter((status) => status === UNHEALTHY);
    assert.ok(losses.length <= 1, `it came and went: ${this.#statuses}`);
  }

  /** @throws What a health check has thrown. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#unsubscribe();
    for (const result of await this.#watching) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#unsubscribe();
    await this.#watching;
  }

  get #states(): string[] {
    return this.#changes.map(({ state }) => state);
  }

  async #watchHealth(): Promise<void> {
    while (!this.#isOver) {
      const status = ServiceStatus[(await this.#check()).status];
      if (status !== this.#statuses.at(-1)) this.#statuses.push(status!);
      await delay(INTERVAL_MS);
    }
  }
}

const UNHEALTHY = ServiceStatus[ServiceStatus.UNHEALTHY]!;

function inWords({ state, accessMode, outage }: StateChange): string {
  return `${state} ${accessMode} ${outage?.code ?? ""}`.trim();
}
