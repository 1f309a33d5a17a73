import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { startEmbeddedPostgres } from "../support/postgres.ts";
import { testUnless } from "../support/requirement.ts";
import { SmallDisk, whyNoSmallDisk } from "../support/small_disk.ts";
import { DatabaseUnderLoad } from "./database/database_under_load.ts";
import { PATIENT } from "./database/fault.ts";

const DISK_BYTES = 8 * 1024 * 1024;

testUnless(
  whyNoSmallDisk(),
  "under load: the disk of a table is full: its writes fail, and succeed when there is space",
  async () => {
    await using disk = await SmallDisk.mount(DISK_BYTES);
    await using server = await startEmbeddedPostgres({ settings: { synchronous_commit: "on" } });
    await using load = await DatabaseUnderLoad.start(server, PATIENT);
    const { database, transfers } = load;
    await server.admin(`create tablespace small location '${disk.path}'`);
    await server.admin("alter table ledger set tablespace small");

    await disk.fill();
    await transfers.more("failed", 20);
    // What cannot be compressed does not fit into the room that failed transfers have left.
    const page = randomBytes(8_000).toString("hex");
    await assert.rejects(
      database.query`insert into ledger (id, leg) values (${page}, ${page})`,
      { code: "OUT_OF_RESOURCES", sqlState: "53100", retryable: true },
    );
    assert.deepEqual([...await database.query`select 1 as one`], [{ one: 1 }]);
    await load.untilHealth(ServiceStatus.HEALTHY);

    await disk.free();
    await load.untilRecovered();
    load.story.assertNoOutage();
    await load.finish(server);
  },
);
