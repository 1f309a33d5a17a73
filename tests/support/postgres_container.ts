import { once } from "node:events";
import { createInterface } from "node:readline";
import { PostgreSqlContainer, type StartedPostgreSqlContainer } from "@testcontainers/postgresql";
import postgres from "postgres";
import { type ContainerRuntimeClient, getContainerRuntimeClient, Wait } from "testcontainers";
import { claimPort } from "../../dev/postgres/free_port.ts";
import type { ConnectionInfo, StopMode } from "../../dev/postgres/server.ts";
import { eventually } from "./condition.ts";
import { POSTGRES_IMAGE } from "./docker.ts";
import { DockerAgent } from "./docker_agent.ts";
import { ownerLabel } from "./postgres_container_owner.ts";
import type { TestPostgresOptions, TestServer } from "./postgres_server.ts";
import { DATABASE, SUPERUSER_PASSWORD, TEST_SETTINGS } from "./postgres_template.ts";
import { makeUser } from "./postgres_user.ts";

/** A committed container with the cluster that every test begins with; change it with its content. */
const TEMPLATE = { repo: "treasury-test-postgres", tag: "16-alpine-1" } as const;
const TEMPLATE_IMAGE = `${TEMPLATE.repo}:${TEMPLATE.tag}`;
// A commit leaves volumes out, and the image's own data directory is one.
const DATA_DIRECTORY = "/var/lib/postgresql/template";
const PORT = 5432;
const PORT_ATTEMPTS = 10;
const STOP_SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;

// Testcontainers' own reaper holds a connection as long as the process lives, which the tests'
// sanitizers take for a leak. The provider clears abandoned containers instead.
Deno.env.set("TESTCONTAINERS_RYUK_DISABLED", "true");

/** Starts a PostgreSQL in a container of its own, on a copy of the template cluster. */
export async function startContainer(
  { settings, onLog }: TestPostgresOptions,
  cleanup: AsyncDisposableStack,
): Promise<ContainerServer> {
  const client = await getContainerRuntimeClient();
  const modem = client.container.dockerode.modem as Modem;
  if (modem.socketPath !== undefined) modem.agent ??= new DockerAgent();
  await ensureTemplate(client);
  const flags = Object.entries({ ...TEST_SETTINGS, ...settings })
    .flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const container = await onFreePort(cleanup, (port) => {
    const description = describeContainer(TEMPLATE_IMAGE)
      // With a port that the engine chooses, a restart would change it.
      .withExposedPorts({ container: PORT, host: port })
      .withCommand(["postgres", ...flags]);
    if (onLog === undefined) return description.start();
    return description.withLogConsumer((log) => {
      const ended = once(createInterface({ input: log }).on("line", onLog), "close");
      cleanup.defer(async () => void await ended);
    }).start();
  });
  const server = cleanup.use(new ContainerServer(container, client));
  await server.accepts();
  return server;
}

/** What is not in the types of Testcontainers' own client. */
interface Modem {
  readonly socketPath?: string;
  agent?: DockerAgent;
}

/** A server in a container, which has no other process than the server's. */
export class ContainerServer implements TestServer {
  readonly superuser: ConnectionInfo;
  readonly #started: StartedPostgreSqlContainer;
  readonly #container: ReturnType<ContainerRuntimeClient["container"]["getById"]>;
  #running = true;
  #frozen = false;

  constructor(started: StartedPostgreSqlContainer, client: ContainerRuntimeClient) {
    this.#started = started;
    this.#container = client.container.getById(started.getId());
    this.superuser = {
      host: started.getHost(),
      port: started.getPort(),
      user: "postgres",
      password: SUPERUSER_PASSWORD,
      database: "postgres",
    };
  }

  async start(): Promise<void> {
    await this.#container.start();
    this.#running = true;
    await this.accepts();
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    await this.#end(STOP_SIGNALS[mode]);
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async freeze(): Promise<void> {
    await this.#container.pause();
    this.#frozen = true;
  }

  async resume(): Promise<void> {
    if (!this.#frozen) return;
    await this.#container.unpause();
    this.#frozen = false;
  }

  /** Resolves when the server accepts connections. */
  async accepts(): Promise<void> {
    await eventually(async () => {
      const sql = postgres({ ...this.superuser, max: 1, fetch_types: false });
      try {
        return await sql`select`;
      } finally {
        await sql.end({ timeout: 0 });
      }
    }, { what: "PostgreSQL in its container accepts connections" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resume();
    await this.#started.stop({ timeout: 0, remove: true, removeVolumes: true });
  }

  async #end(signal: string): Promise<void> {
    if (!this.#running) return;
    await this.resume(); // the engine sends no signal to a frozen container
    await this.#container.kill({ signal });
    await this.#container.wait();
    this.#running = false;
  }
}

/** initdb takes seconds, so the first test makes an image with a cluster, and all others use it. */
async function ensureTemplate(client: ContainerRuntimeClient): Promise<void> {
  const images = await client.container.dockerode.listImages({
    filters: { reference: [TEMPLATE_IMAGE] },
  });
  if (images.length > 0) return;
  const container = await describeContainer(POSTGRES_IMAGE).start();
  await using server = new ContainerServer(container, client);
  await server.accepts();
  await makeUser(server.superuser, DATABASE);
  await server.stop();
  // Processes that make it at the same time do the work twice, no harm: the later one gets the tag.
  await container.commit({ ...TEMPLATE, deleteOnExit: false });
}

function describeContainer(image: string): PostgreSqlContainer {
  return new PostgreSqlContainer(image)
    .withUsername("postgres")
    .withPassword(SUPERUSER_PASSWORD)
    .withDatabase("postgres")
    .withEnvironment({ PGDATA: DATA_DIRECTORY })
    .withLabels(ownerLabel())
    // Whoever starts it waits until it accepts connections. The server that runs the image's initial
    // scripts is not on the network.
    .withWaitStrategy(Wait.forAll([]))
    // The module's own one would connect four times a second, beside the sessions that tests count.
    .withHealthCheck({ test: ["CMD", "true"], interval: 3_600_000 });
}

/** Another process can take a port between the look and the engine's own bind. */
async function onFreePort<T>(
  cleanup: AsyncDisposableStack,
  start: (port: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1;; attempt++) {
    const claim = cleanup.use(await claimPort());
    try {
      return await start(claim.port);
    } catch (error) {
      if (
        attempt === PORT_ATTEMPTS ||
        !/port is already allocated|address already in use/.test(String(error))
      ) {
        throw error;
      }
    }
  }
}
