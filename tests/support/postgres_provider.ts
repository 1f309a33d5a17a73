import type { ConnectionInfo } from "../../dev/postgres/server.ts";
import { POSTGRES_IMAGE, whyNoContainers } from "./docker.ts";
import { clearAbandonedContainers } from "./postgres_container_owner.ts";
import { startEmbedded } from "./postgres_embedded.ts";
import type { StartServer } from "./postgres_server.ts";

/** Where tests get their PostgreSQL. */
export interface PostgresProvider {
  /** For tests that have a server for themselves. */
  readonly startServer: StartServer;
  /** Where the other tests' databases are made; `undefined`: on servers of their own too. */
  readonly sharedServer: ConnectionInfo | undefined;
}

type ServerKind = "container" | "embedded";

/** Chooses the kind of server. It is set once chosen: all files of a test run see the same. */
const KIND_VARIABLE = "TEST_POSTGRES";
/** Set when the run has said what it uses. */
const SAID_VARIABLE = "TEST_POSTGRES_SAID";

/**
 * Chooses where databases come from, and says so once a run:
 *
 * - the server that `TEST_DATABASE_URL` names, whose role must be a superuser;
 * - else a container for each test, when a Docker engine answers;
 * - else an embedded PostgreSQL for each test.
 *
 * A server that others use too cannot be stopped or frozen: tests that do so get one for themselves,
 * in a container or embedded. `TEST_POSTGRES=container` or `embedded` decides which.
 *
 * @throws {Error} When a variable has a value that cannot be used.
 */
export async function chooseProvider(): Promise<PostgresProvider> {
  const url = Deno.env.get("TEST_DATABASE_URL");
  const sharedServer = url ? parseServer(url) : undefined;
  const [kind, why] = await chooseKind();
  const servers = `${DESCRIPTIONS[kind]}${why}`;
  say(
    sharedServer === undefined
      ? `PostgreSQL for the tests: ${servers}`
      : `PostgreSQL for the tests: TEST_DATABASE_URL (${sharedServer.host}:${sharedServer.port}); ` +
        `for tests that stop, break or configure their server: ${servers}`,
  );
  return { startServer: await STARTERS[kind](), sharedServer };
}

const DESCRIPTIONS = {
  container: `a container of ${POSTGRES_IMAGE} for each`,
  embedded: "an embedded server for each",
} as const;

const STARTERS: Readonly<Record<ServerKind, () => Promise<StartServer>>> = {
  container: async () => {
    // Testcontainers is loaded only when it is used: that takes a second.
    const { startContainer } = await import("./postgres_container.ts");
    await clearAbandonedContainers();
    return startContainer;
  },
  embedded: () => Promise.resolve(startEmbedded),
};

async function chooseKind(): Promise<[kind: ServerKind, why: string]> {
  const wish = Deno.env.get(KIND_VARIABLE) || undefined;
  if (wish === "embedded") return [wish, ""];
  if (wish !== undefined && wish !== "container") {
    throw new Error(`${KIND_VARIABLE}: "${wish}" is not container or embedded`);
  }
  const problem = await whyNoContainers(POSTGRES_IMAGE);
  if (wish === "container" && problem !== undefined) {
    throw new Error(`${KIND_VARIABLE}=container, but ${problem}`);
  }
  const kind = problem === undefined ? "container" : "embedded";
  Deno.env.set(KIND_VARIABLE, kind);
  return [kind, problem === undefined ? "" : ` (${problem})`];
}

function say(text: string): void {
  if (Deno.env.get(SAID_VARIABLE) !== undefined) return;
  Deno.env.set(SAID_VARIABLE, "1");
  console.log(text);
}

function parseServer(url: string): ConnectionInfo {
  if (!URL.canParse(url)) throw new Error("TEST_DATABASE_URL is no URL: postgresql://…");
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: hostname,
    port: Number(port || 5432),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)) || "postgres",
  };
}
