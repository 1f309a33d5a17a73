import { join } from "node:path";
import { type Account, serverAccount } from "../../dev/postgres/account.ts";
import { clusterPaths } from "../../dev/postgres/cluster.ts";
import { type ConnectionInfo, EmbeddedServer } from "../../dev/postgres/server.ts";
import { eventually } from "./condition.ts";
import { TestPostgres } from "./postgres.ts";
import { clearAbandonedDirectories, TestDirectory } from "./postgres_directory.ts";
import { copyTemplateCluster, SUPERUSER_PASSWORD, TEST_SETTINGS } from "./postgres_template.ts";

export interface ReplicationPairOptions {
  /** Server settings of both, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * A commit returns when the standby has applied it, so a failover loses nothing that was
   * committed; while the standby is away, commits wait.
   *
   * @default false
   */
  readonly synchronous?: boolean;
}

const REPLICATION_USER = "replicator";
const REPLICATION_PASSWORD = "replication-test-password";

const SETTINGS = {
  ...TEST_SETTINGS,
  synchronous_commit: "remote_apply", // without a synchronous standby: wait for the local flush
  wal_keep_size: "256MB", // for a standby that was away
  wal_retrieve_retry_interval: "100ms", // a standby looks so often for its primary
};

/** A first start makes no cluster, so it takes a second at most. */
const START_TIMEOUT_MS = 60_000;

/**
 * Starts a primary with an empty `treasury_db` and a hot standby that streams from it. Both begin
 * as copies of the same cluster, which was stopped cleanly: that is a whole base backup, and needs
 * none of the programs that npm's PostgreSQL does not have.
 *
 * Source: PostgreSQL documentation, 27.2 "Log-Shipping Standby Servers".
 *
 * ```ts
 * await using pair = await startReplicationPair();
 * const database = new DatabaseManager(pair.primary.config({ hosts: pair.hosts }));
 * await pair.primary.kill(); // reads go on
 * await pair.promote(); // writes go on
 * ```
 */
export async function startReplicationPair(
  options: ReplicationPairOptions = {},
): Promise<ReplicationPair> {
  await clearAbandonedDirectories();
  const { settings = {}, synchronous = false } = options;
  await using cleanup = new AsyncDisposableStack();
  const primary = cleanup.use(await Member.make({ ...SETTINGS, ...settings }));
  await primary.start();
  await primary.server.admin(
    `create role ${REPLICATION_USER} login replication password '${REPLICATION_PASSWORD}'`,
  );
  const standby = cleanup.use(await Member.make({ ...SETTINGS, ...settings }));
  await standby.follow(primary.server.superuser);
  await standby.start();
  await untilStreaming(primary.server);
  // Not before there is a standby: until then every commit would wait for it.
  if (synchronous) await makeSynchronous(primary.server);
  return new ReplicationPair(primary, standby, cleanup.move());
}

/** Two servers with the same data. Their names say what they were at the start. */
export class ReplicationPair implements AsyncDisposable {
  readonly #members: { readonly primary: Member; readonly standby: Member };
  readonly #cleanup: AsyncDisposableStack;
  #source: TestPostgres;
  #replica: TestPostgres;

  constructor(primary: Member, standby: Member, cleanup: AsyncDisposableStack) {
    this.#members = { primary, standby };
    this.#cleanup = cleanup;
    this.#source = primary.server;
    this.#replica = standby.server;
  }

  get primary(): TestPostgres {
    return this.#members.primary.server;
  }

  get standby(): TestPostgres {
    return this.#members.standby.server;
  }

  /** Both addresses for the configuration, the primary first. */
  get hosts(): { readonly host: string; readonly port: number }[] {
    return [this.primary, this.standby].map(({ database: { host, port } }) => ({ host, port }));
  }

  /** Waits until the standby shows everything that is committed on the primary now. */
  async waitForReplay(): Promise<void> {
    const [now] = await this.#source.admin<{ lsn: string }>(
      "select pg_current_wal_flush_lsn()::text as lsn",
    );
    await eventually(async () => {
      const rows = await this.#replica.admin(
        "select where pg_last_wal_replay_lsn() >= $1::pg_lsn",
        [
          now!.lsn,
        ],
      );
      return rows.length === 1;
    }, { what: `the standby has replayed ${now!.lsn}` });
  }

  /**
   * Makes the standby a primary; returns when it takes writes. It does not ask after the old
   * primary: stop, kill or cut that off first, or there are two.
   */
  async promote(): Promise<void> {
    const [row] = await this.standby.admin<{ promoted: boolean }>(
      "select pg_promote(true, 60) as promoted",
    );
    if (row?.promoted !== true) throw new Error("The standby was not promoted within 60 s.");
  }

  /**
   * Starts the old primary as a standby of the promoted one; from here on
   * {@linkcode waitForReplay} waits for it.
   *
   * It must have been stopped with `stop()` before the promotion, which sends the standby all that
   * it has. After a `kill()` its data may have gone another way, and it cannot follow.
   */
  async rejoin(): Promise<void> {
    const { primary, standby } = this.#members;
    await primary.follow(standby.server.superuser);
    await primary.start();
    await untilStreaming(standby.server);
    [this.#source, this.#replica] = [standby.server, primary.server];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

/** One server of the pair, and the directory that holds its data. */
class Member implements AsyncDisposable {
  readonly server: TestPostgres;
  readonly #embedded: EmbeddedServer;
  readonly #data: string;
  readonly #account: Account | undefined;

  private constructor(
    embedded: EmbeddedServer,
    data: string,
    account: Account | undefined,
    cleanup: AsyncDisposableStack,
  ) {
    this.#embedded = embedded;
    this.#data = data;
    this.#account = account;
    this.server = new TestPostgres(embedded, cleanup);
  }

  static async make(settings: Readonly<Record<string, string>>): Promise<Member> {
    await using cleanup = new AsyncDisposableStack();
    const { path, serverName } = cleanup.use(await TestDirectory.make());
    await copyTemplateCluster(path);
    const embedded = cleanup.use(
      new EmbeddedServer({
        directory: path,
        name: serverName,
        password: SUPERUSER_PASSWORD,
        settings,
      }),
    );
    return new Member(embedded, clusterPaths(path).data, await serverAccount(), cleanup.move());
  }

  async start(): Promise<void> {
    await this.#embedded.start(AbortSignal.timeout(START_TIMEOUT_MS));
  }

  /** The next start is as a standby of `primary`. */
  async follow({ host, port }: ConnectionInfo): Promise<void> {
    const conninfo = `host=${host} port=${port} user=${REPLICATION_USER} ` +
      `password=${REPLICATION_PASSWORD}`;
    // In the file, because the arguments of a process are for everyone to read.
    await this.#append("postgresql.auto.conf", `primary_conninfo = '${conninfo}'\n`);
    await this.#append("standby.signal", "");
  }

  async #append(name: string, text: string): Promise<void> {
    const path = join(this.#data, name);
    await Deno.writeTextFile(path, text, { append: true, mode: 0o600 });
    if (this.#account !== undefined) {
      await Deno.chown(path, this.#account.uid, this.#account.gid);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

async function untilStreaming(source: TestPostgres): Promise<void> {
  await eventually(async () => {
    const rows = await source.admin("select from pg_stat_replication where state = 'streaming'");
    return rows.length === 1;
  }, { what: "the standby streams" });
}

async function makeSynchronous(source: TestPostgres): Promise<void> {
  await source.admin("alter system set synchronous_standby_names = '*'");
  await source.admin("select pg_reload_conf()");
  await eventually(async () => {
    const rows = await source.admin("select from pg_stat_replication where sync_state = 'sync'");
    return rows.length === 1;
  }, { what: "the standby is synchronous" });
}
