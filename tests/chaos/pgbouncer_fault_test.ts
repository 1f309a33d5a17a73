import assert from "node:assert/strict";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import {
  pgBouncerTest,
  POOL_MODES,
  startPgBouncer,
  type TestPgBouncer,
} from "../support/pgbouncer.ts";
import { untilState } from "../support/database_support.ts";
import { DatabaseUnderLoad } from "./database/database_under_load.ts";

interface Outage {
  readonly begin: (server: TestPostgres, bouncer: TestPgBouncer) => Promise<void>;
  readonly end: (server: TestPostgres, bouncer: TestPgBouncer) => Promise<void>;
  /** What health may say about it. */
  readonly codes: readonly string[];
}

/** While it looks for the server, PgBouncer lets clients wait for `query_wait_timeout`. */
const SERVER_CODES = ["CONNECTION_REFUSED", "CONNECT_TIMEOUT", "TOO_MANY_CONNECTIONS"];

const OUTAGES: Readonly<Record<string, Outage>> = {
  "PgBouncer is killed": {
    begin: (_, bouncer) => bouncer.stop(),
    end: (_, bouncer) => bouncer.start(),
    codes: ["CONNECTION_REFUSED"],
  },
  "the server behind it is killed": {
    begin: (server) => server.kill(),
    end: (server) => server.start(),
    codes: SERVER_CODES,
  },
  "the server behind it is stopped": {
    begin: (server) => server.stop("fast"),
    end: (server) => server.start(),
    codes: SERVER_CODES,
  },
};

for (const mode of POOL_MODES) {
  for (const [name, { begin, end, codes }] of Object.entries(OUTAGES)) {
    pgBouncerTest(`${name} under load, and all goes on after it (${mode})`, async () => {
      await using server = await startPostgres({ settings: { synchronous_commit: "on" } });
      await using bouncer = await startPgBouncer(server, mode);
      await using load = await DatabaseUnderLoad.start(server, { config: bouncer.config() });
      await begin(server, bouncer);
      await untilState(load.database, "disconnected");
      const { error } = await load.untilHealth(ServiceStatus.UNHEALTHY, codes);
      assert.ok(error, "health says why");
      await end(server, bouncer);
      await load.untilRecovered();
      await load.finish(server);
    });
  }
}
