import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { terminateSessions } from "../support/database_support.ts";
import { DatabaseUnderLoad } from "./database/database_under_load.ts";
import { type Scene, testFault } from "./database/fault.ts";

/** A loop below that looks in vain fails, and does not look for ever. */
const LIMIT = "set statement_timeout = '60s'";

/**
 * Ends sessions that are in this state, one after the other, until so many have ended. The server
 * looks for them itself, because they are in it for less than a round trip.
 */
async function terminate({ server }: Scene, state: string, count: number): Promise<void> {
  await server.admin(`
    ${LIMIT};
    do $$ declare ended int := 0; target int; begin
      while ended < ${count} loop
        perform pg_stat_clear_snapshot();
        select pid into target from pg_stat_activity
          where usename = '${server.database.user}' and state = '${state}' limit 1;
        if found and pg_terminate_backend(target, 5000) then ended := ended + 1; end if;
      end loop;
    end $$`);
}

for (const state of ["idle", "active", "idle in transaction"]) {
  testFault({
    name: `sessions that are ${state} are terminated`,
    begin: (scene) => terminate(scene, state, 10),
  });

  testFault({
    name: `sessions that are ${state} are terminated, each alone`,
    async begin(scene) {
      for (let round = 0; round < 10; round++) {
        await terminate(scene, state, 1);
        await scene.load.transfers.more("committed", 20);
      }
    },
    outage: "none",
  });
}

testFault({
  name: "sessions are terminated while they start",
  // The server waits for a second once it has checked the password.
  config: { options: "-c post_auth_delay=1", connectTimeoutMs: 10_000 },
  async begin({ server }) {
    // The server lists sessions only when they have started; their locks are there before.
    await server.admin(`
      ${LIMIT};
      do $$ declare ended int := 0; target int; begin
        while ended < 5 loop
          perform pg_stat_clear_snapshot();
          perform pg_terminate_backend(pid) from pg_stat_activity
            where usename = '${server.database.user}';
          select pid into target from pg_locks
            where locktype = 'object' and classid = 'pg_database'::regclass
              and pid not in (select pid from pg_stat_activity) limit 1;
          if found and pg_terminate_backend(target, 5000) then ended := ended + 1; end if;
        end loop;
      end $$`);
  },
});

testFault({
  name: "all sessions are terminated, again and again",
  async begin({ server, load }) {
    for (let round = 0; round < 5; round++) {
      await terminateSessions(server);
      await load.transfers.more("committed", 5);
    }
  },
});

Deno.test("under load: the password is changed on the server, and later in the service's file", async () => {
  await using server = await startPostgres({ settings: { synchronous_commit: "on" } });
  await using files = new AsyncDisposableStack();
  const passwordFile = files.adopt(await Deno.makeTempFile(), (path) => Deno.remove(path));
  await Deno.writeTextFile(passwordFile, server.database.password);
  await using load = await DatabaseUnderLoad.start(server, { config: { passwordFile } });

  await server.admin(`alter role ${server.database.user} password 'rotated'`);
  await eventually(async () => {
    await terminateSessions(server);
    return load.database.state === "disconnected";
  }, { what: "no session of the old password is left" });
  await load.untilHealth(ServiceStatus.UNHEALTHY, ["AUTHENTICATION_FAILED"]);
  await load.transfers.more("failed", 20);

  await Deno.writeTextFile(passwordFile, "rotated");
  await load.untilRecovered();
  await load.finish(server);
});
