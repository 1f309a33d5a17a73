/**
 * Measures outages with an embedded PostgreSQL: the time until calls succeed after a restart, until
 * calls fail during an outage, until a frozen server is detected, and until the service has shut
 * down. The manager and the Pool of npm:pg use the same server at the same time.
 *
 * `deno task bench:outage [--restarts 30] [--down-ms 2000] [--freezes 3] [--shutdowns 10]`
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { DatabaseError } from "../src/database/mod.ts";
import { eventually } from "../tests/support/condition.ts";
import { startPostgres, type TestPostgres } from "../tests/support/postgres.ts";
import { type Contender, manager, pgPool } from "./outage_contenders.ts";
import { type Shutdown, stopIdle, stopUnderLoad } from "./outage_shutdown.ts";
import { quantile } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    restarts: { type: "string", default: "30" },
    "down-ms": { type: "string", default: "2000" },
    freezes: { type: "string", default: "3" },
    shutdowns: { type: "string", default: "10" },
  },
});

/** Delay before a caller retries. */
const CALL_AGAIN_MS = 5;
const OPEN_CALLS = 500;
const PING_TIMEOUT_MS = 1_000;
/** Timeout of a call on a frozen server. */
const GIVE_UP_MS = 5 * PING_TIMEOUT_MS;

function line(name: string, took: readonly number[], digits = 0): void {
  const [p50, p99, most] = [0.5, 0.99, 1].map((part) => quantile(took, part).toFixed(digits));
  console.log(`${name.padEnd(48)} P50 ${p50} ms, P99 ${p99} ms, most ${most} ms (${took.length})`);
}

/** Milliseconds until a repeated call succeeds. */
async function untilSuccess({ call }: Contender): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    try {
      await call();
      return performance.now() - startedAt;
    } catch {
      await delay(CALL_AGAIN_MS);
    }
  }
}

/** Milliseconds of each call that the open circuit rejects. */
async function failFast({ call }: Contender): Promise<number[]> {
  const took: number[] = [];
  for (let count = 0; count < OPEN_CALLS; count++) {
    const startedAt = performance.now();
    const error = await call().catch((error: unknown) => error);
    took.push(performance.now() - startedAt);
    if (!(error instanceof DatabaseError && error.code === "CIRCUIT_OPEN")) {
      throw new Error("The circuit is not open", { cause: error });
    }
  }
  return took;
}

async function measureRestarts(server: TestPostgres): Promise<void> {
  await using ours = await manager(server);
  await using theirs = await pgPool(server);
  const [recovery, peer, failing]: [number[], number[], number[]] = [[], [], []];
  for (let restart = 0; restart < Number(values.restarts); restart++) {
    await server.stop("fast");
    await eventually(() => ours.database.state === "disconnected");
    failing.push(...await failFast(ours));
    await delay(Number(values["down-ms"]));
    await server.start(); // resolves when the server says that it accepts connections
    const [own, other] = await Promise.all([untilSuccess(ours), untilSuccess(theirs)]);
    recovery.push(own);
    peer.push(other);
  }
  line("restart: first success, manager", recovery);
  line("restart: first success, npm:pg Pool", peer);
  line("open circuit: a call fails within", failing, 3);
}

async function measureFreezes(server: TestPostgres): Promise<void> {
  await using ours = await manager(server);
  await using theirs = await pgPool(server);
  const noticed: number[] = [];
  let unnoticed = 0;
  for (let freeze = 0; freeze < Number(values.freezes); freeze++) {
    await Promise.all([ours.call(), theirs.call()]);
    await server.freeze();
    const startedAt = performance.now();
    const call = theirs.call().then(() => "answered", () => "failed");
    await ours.database.ping({ timeoutMs: PING_TIMEOUT_MS }).catch(() => {});
    await eventually(() => ours.database.state === "disconnected");
    noticed.push(performance.now() - startedAt);
    const left = delay(GIVE_UP_MS - (performance.now() - startedAt), "hangs");
    if (await Promise.race([call, left]) === "hangs") unnoticed++;
    await server.resume();
    await call;
    await untilSuccess(ours);
  }
  line(`frozen server: ping of ${PING_TIMEOUT_MS} ms has noticed after`, noticed);
  console.log(
    `${
      "frozen server: npm:pg Pool".padEnd(48)
    } ${unnoticed} of ${noticed.length} calls still hang ` +
      `after ${GIVE_UP_MS} ms`,
  );
}

async function measureShutdowns(
  name: string,
  stop: (server: TestPostgres) => Promise<Shutdown>,
  server: TestPostgres,
): Promise<void> {
  const shutdowns: Shutdown[] = [];
  for (let time = 0; time < Number(values.shutdowns); time++) shutdowns.push(await stop(server));
  line(`shutdown ${name}`, shutdowns.map(({ tookMs }) => tookMs));
  const total = (of: "accepted" | "failed") => shutdowns.reduce((sum, one) => sum + one[of], 0);
  if (total("accepted") > 0) {
    console.log(`${"".padEnd(48)} ${total("failed")} of ${total("accepted")} requests failed`);
  }
}

await using server = await startPostgres();
await measureRestarts(server);
await measureFreezes(server);
await measureShutdowns("idle", stopIdle, server);
await measureShutdowns("under load", stopUnderLoad, server);
