import { findFreePort } from "../../dev/postgres/free_port.ts";
import { docker, run } from "./docker.ts";
import { ROOT } from "./service.ts";

/** The project of docker-compose.yml under a name, a port and an image tag of its own. */
export class ComposeProject implements AsyncDisposable {
  readonly name = `treasury-test-${Deno.pid}`;
  readonly image = this.name;
  readonly port: number;
  readonly #program: readonly [string, ...string[]];

  private constructor(program: readonly [string, ...string[]], port: number) {
    this.#program = program;
    this.port = port;
  }

  /** @throws {Error} When the machine has neither `docker compose` nor `docker-compose`. */
  static async open(): Promise<ComposeProject> {
    const plugin = await docker("compose", "version").then(() => true, () => false);
    const program = plugin ? ["docker", "compose"] as const : ["docker-compose"] as const;
    return new ComposeProject(program, await findFreePort());
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Runs `docker compose` with these arguments; returns what it prints. */
  async compose(...args: readonly string[]): Promise<string> {
    const [program, ...first] = this.#program;
    return await run(program, [...first, "--project-name", this.name, ...args], {
      cwd: ROOT,
      env: { SERVER_PORT: String(this.port), TREASURY_IMAGE: this.image },
    });
  }

  /** The container's id of a service. */
  async container(service: string): Promise<string> {
    return (await this.compose("ps", "--quiet", service)).trim();
  }

  /** Containers, networks and volumes that belong to the project. */
  async things(): Promise<string[]> {
    const filter = `label=com.docker.compose.project=${this.name}`;
    const lists = [
      await docker("ps", "--all", "--quiet", "--filter", filter),
      await docker("network", "ls", "--quiet", "--filter", filter),
      await docker("volume", "ls", "--quiet", "--filter", filter),
    ];
    return lists.flatMap((list) => list.split("\n")).filter((id) => id !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose("down", "--volumes", "--remove-orphans", "--timeout", "5");
    await docker("image", "rm", "--force", this.image);
  }
}
