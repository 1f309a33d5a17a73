import assert from "node:assert/strict";
import postgres from "postgres";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { DatabaseUnderLoad } from "./database/database_under_load.ts";
import { PATIENT, testFault } from "./database/fault.ts";

const DURABLE = { synchronous_commit: "on" };
const MAX_CONNECTIONS = 15;
const SUPERUSER_RESERVED_CONNECTIONS = 3;
/** Sessions that a server can have of everybody who is no superuser. */
const SLOTS = MAX_CONNECTIONS - SUPERUSER_RESERVED_CONNECTIONS;
const CROWDED = {
  ...DURABLE,
  max_connections: String(MAX_CONNECTIONS),
  superuser_reserved_connections: String(SUPERUSER_RESERVED_CONNECTIONS),
};

testFault({
  name: "the disk is full: writes fail, reads go on, and it is no outage",
  async begin({ server, load }) {
    await server.admin(`
      create function disk_full() returns trigger language plpgsql as $$
        begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$;
      create trigger disk_full before insert on ledger execute function disk_full()`);
    await load.transfers.more("failed", 20);
    assert.deepEqual([...await load.database.query`select 1 as one`], [{ one: 1 }]);
  },
  outage: "none",
  end: async ({ server }) => void await server.admin("drop function disk_full cascade"),
});

/** Sessions of somebody else, who takes slots that the server has to give. */
class Occupation implements AsyncDisposable {
  readonly #sessions: postgres.Sql[] = [];
  #held = 0;

  /** Slots that are taken, until the end: nobody terminates these sessions. */
  get held(): number {
    return this.#held;
  }

  /** Takes so many slots, as far as the server has them; all at once, as others want them too. */
  async take({ database }: TestPostgres, slots: number): Promise<number> {
    const taken = await Promise.all(Array.from({ length: slots }, () => this.#open(database)));
    return taken.filter(Boolean).length;
  }

  /** Takes slots until the server has none left. */
  async fill(server: TestPostgres): Promise<void> {
    while (await this.take(server, MAX_CONNECTIONS) > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.end({ timeout: 5 })));
  }

  /** @returns Whether the server had a slot. */
  async #open(database: TestPostgres["database"]): Promise<boolean> {
    const session = postgres({
      ...database,
      max: 1,
      connection: { application_name: "others" },
    });
    this.#sessions.push(session);
    try {
      await session`select 1`;
      this.#held++;
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === "53300") return false;
      throw error;
    }
  }
}

Deno.test("under load: others take every connection slot of the server", async () => {
  await using server = await startPostgres({ settings: CROWDED });
  await using load = await DatabaseUnderLoad.start(server);
  {
    await using others = new Occupation();
    // A terminated session gives its slot back when its process has ended, which can be after others
    // have looked for one, and then the pool may take it. So they press on until they hold them all.
    await eventually(async () => {
      await server.admin(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
        [load.database.config.applicationName],
      );
      await others.fill(server);
      return others.held === SLOTS;
    }, { what: "others hold every slot" });
    await eventually(() => {
      const { open, connecting } = load.database.poolStats();
      return open === connecting;
    }, { what: "the pool has no connection left" });
    await load.untilHealth(ServiceStatus.UNHEALTHY, ["TOO_MANY_CONNECTIONS"]);
    await load.transfers.more("failed", 20);
  }
  await load.untilRecovered();
  await load.finish(server);
});

Deno.test("under load: others take the slots that the pool still wants, and what it has works on", async () => {
  await using server = await startPostgres({ settings: CROWDED });
  await using others = new Occupation();
  await others.take(server, 6);
  await using load = await DatabaseUnderLoad.start(server, PATIENT);
  await others.fill(server);
  const { openFailedCount } = load.database.poolStats();
  await eventually(() => load.database.poolStats().openFailedCount > openFailedCount + 20, {
    what: "the pool is refused what it wants",
  });
  await load.transfers.more("committed", 20);
  load.story.assertNeverLost();

  await others[Symbol.asyncDispose]();
  await load.untilRecovered();
  load.story.assertNeverLost();
  await load.finish(server);
});

Deno.test("under load: slow queries take the whole pool, and that is not called an outage", async () => {
  await using server = await startPostgres({ settings: DURABLE });
  // Health checks connect beside a pool that is busy: slow is all that this may be.
  const config = { acquireTimeoutMs: 300, pingTimeoutMs: 2_000, connectTimeoutMs: 30_000 };
  await using load = await DatabaseUnderLoad.start(server, { config });
  const { database } = load;

  const stop = new AbortController();
  const slow = Array.from({ length: 2 * database.config.maxConnections }, async () => {
    while (!stop.signal.aborted) {
      // Of a read, it does not matter whether the server has confirmed the cancel in time.
      const query = database.query({ signal: stop.signal, access: "read" });
      await query`select pg_sleep(600)`.catch((error) => {
        assert.match(error.code, /^(ABORTED|ACQUIRE_TIMEOUT)$/);
      });
    }
  });
  const health = await load.untilHealth(ServiceStatus.DEGRADED, ["ACQUIRE_TIMEOUT"]);
  assert.match(health.message, /pool exhausted/);
  assert.equal(health.config?.poolInfo?.activeConnections, database.config.maxConnections);
  await load.transfers.more("failed", 20);
  await load.untilHealth(ServiceStatus.DEGRADED, ["ACQUIRE_TIMEOUT"]);

  stop.abort();
  await Promise.all(slow);
  await load.untilRecovered();
  load.story.assertNoOutage();
  await load.finish(server);
});
