import assert from "node:assert/strict";
import { DatabaseManager } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { FakeClock } from "../unit/database/fake_clock.ts";
import { Random } from "./transport/random.ts";

const REPLICAS = 20;
/** What counts as the same moment. */
const WINDOW_MS = 10;
const OUTAGE_WINDOWS = 500;
const RETRY_INITIAL_DELAY_MS = 100;
const RETRY_MAX_DELAY_MS = 800;
const LONGEST_DELAY_WINDOWS = RETRY_MAX_DELAY_MS / WINDOW_MS;

/**
 * Replicas of a service that lose one database and get it back. The network is real and time is
 * not: it goes on when every attempt to connect has ended, so a slow machine changes no count.
 */
class Herd implements AsyncDisposable {
  readonly #clock: FakeClock;
  readonly #proxy: FaultProxy;
  readonly #replicas: readonly DatabaseManager[];
  readonly #cleanup: AsyncDisposableStack;

  private constructor(
    clock: FakeClock,
    proxy: FaultProxy,
    replicas: readonly DatabaseManager[],
    cleanup: AsyncDisposableStack,
  ) {
    this.#clock = clock;
    this.#proxy = proxy;
    this.#replicas = replicas;
    this.#cleanup = cleanup;
  }

  /** @param randomOf The jitter of each replica. */
  static async start(randomOf: (replica: number) => () => number): Promise<Herd> {
    await using cleanup = new AsyncDisposableStack();
    const server = cleanup.use(await startPostgres());
    const proxy = cleanup.use(await FaultProxy.start(server.database));
    const clock = new FakeClock();
    const replicas = Array.from({ length: REPLICAS }, (_, replica) => {
      const config = server.config({
        hosts: [proxy.address],
        maxConnections: 2,
        maxIdleConnections: 2,
        minIdleConnections: replica % 2,
        retryInitialDelayMs: RETRY_INITIAL_DELAY_MS,
        retryMaxDelayMs: RETRY_MAX_DELAY_MS,
      });
      return cleanup.use(new DatabaseManager(config, { clock, random: randomOf(replica) }));
    });
    for (const replica of replicas) replica.start();
    await eventually(() => replicas.every(({ state }) => state === "connected"), {
      what: "every replica is connected",
    });
    return new Herd(clock, proxy, replicas, cleanup.move());
  }

  get areAllConnected(): boolean {
    return this.#replicas.every(({ state }) => state === "connected");
  }

  /** The server is gone at once, for all of them; gives the connections that this alone costs. */
  async loseServer(): Promise<number> {
    await this.#proxy.setMode("close");
    const before = this.#proxy.stats.total;
    this.#proxy.endAll("reset");
    await eventually(() => this.#replicas.every(({ state }) => state === "disconnected"), {
      what: "every replica has noticed",
    });
    return this.#proxy.stats.total - before;
  }

  async giveServerBack(): Promise<void> {
    await this.#proxy.setMode("pass");
  }

  /** Lets one window pass in which every replica gets a call; gives the connections in it. */
  async window(): Promise<number> {
    const before = this.#proxy.stats.total;
    this.#clock.advance(WINDOW_MS);
    const calls = this.#replicas.filter(({ state }) => state === "disconnected")
      .map((replica) => assert.rejects(replica.query`select 1`, { code: "CIRCUIT_OPEN" }));
    await Promise.all(calls);
    if (!this.#areAllAtRest) {
      await eventually(() => this.#areAllAtRest, { what: "every attempt has ended" });
    }
    return this.#proxy.stats.total - before;
  }

  /** Connected, or waiting for the next look. */
  get #areAllAtRest(): boolean {
    return this.#replicas.every(({ state, circuit, pools }) =>
      pools.get("primary")!.stats().connecting === 0 &&
      (state === "connected" || circuit.snapshot().nextProbeInMs !== undefined)
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

/** The connections of each window of a long outage. */
async function outage(herd: Herd): Promise<number[]> {
  const counts: number[] = [];
  while (counts.length < OUTAGE_WINDOWS) counts.push(await herd.window());
  return counts;
}

/** The connections of each window until every replica is back, or should have been long since. */
async function recovery(herd: Herd): Promise<number[]> {
  await herd.giveServerBack();
  const counts: number[] = [];
  while (!herd.areAllConnected && counts.length < OUTAGE_WINDOWS) counts.push(await herd.window());
  return counts;
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);

Deno.test("many replicas neither hammer a dead server nor come back at one moment", async () => {
  await using herd = await Herd.start((replica) => {
    const random = new Random(replica);
    return () => random.next();
  });
  const noticed = await herd.loseServer();
  assert.ok(noticed <= 3 * REPLICAS, `${noticed} connections to find out`);

  // There were as many calls as windows and replicas. Each replica looks twice in the longest
  // delay on average, and each look tries a lost connection once more. Half as often and twice as
  // often are right too.
  const during = await outage(herd);
  const delays = OUTAGE_WINDOWS / LONGEST_DELAY_WINDOWS;
  assert.ok(sum(during) > 2 * delays * REPLICAS, `${sum(during)} connections`);
  assert.ok(sum(during) < 8 * delays * REPLICAS, `${sum(during)} connections`);
  const most = Math.max(...during.slice(LONGEST_DELAY_WINDOWS));
  assert.ok(most <= REPLICAS / 2, `${most} connections at one moment`);

  const after = await recovery(herd);
  assert.ok(herd.areAllConnected);
  assert.ok(after.length <= LONGEST_DELAY_WINDOWS + 1, `${after.length} windows`);
  assert.ok(Math.max(...after) <= REPLICAS / 4, `${Math.max(...after)} came back at one moment`);
});

Deno.test("without jitter all would come at one moment, which these counts show", async () => {
  await using herd = await Herd.start(() => () => 1);
  await herd.loseServer();
  assert.ok(Math.max(...await outage(herd)) >= REPLICAS);
  assert.ok(Math.max(...await recovery(herd)) >= REPLICAS);
});
