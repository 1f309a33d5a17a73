import { NEWEST_TRIED } from "../../src/runtime.ts";

/** What docker-compose.yml and the Dockerfile begin with. */
export const POSTGRES_IMAGE = "postgres:16-alpine";
export const DENO_IMAGE = `denoland/deno:${NEWEST_TRIED}`;

/** How long the engine may take to say whether it is there. */
const ANSWER_MS = 20_000;
/** How long a base image may take to come from its registry. */
const PULL_MS = 300_000;

/**
 * Why tests cannot run containers of these images here; undefined when they can. An image that the
 * engine does not have is pulled.
 */
export async function whyNoContainers(...images: readonly string[]): Promise<string | undefined> {
  if (!await succeeds(["version", "--format", "{{.Server.Version}}"], ANSWER_MS)) {
    return "no Docker engine answers";
  }
  for (const image of images) {
    const there = await succeeds(["image", "inspect", image], ANSWER_MS) ||
      await succeeds(["pull", "--quiet", image], PULL_MS);
    if (!there) return `the Docker engine cannot get ${image}`;
  }
  return undefined;
}

/**
 * Runs `docker` with these arguments.
 *
 * @returns What it prints.
 * @throws {Error} With what it printed, when it fails.
 */
export async function docker(...args: readonly string[]): Promise<string> {
  return await run("docker", args);
}

/** As {@linkcode docker}, for any program. */
export async function run(
  program: string,
  args: readonly string[],
  { cwd, env = {} }: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env,
    ...(cwd !== undefined && { cwd }),
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  const printed = decoder.decode(stdout);
  if (success) return printed;
  throw new Error(`${program} ${args.join(" ")} failed:\n${printed}${decoder.decode(stderr)}`);
}

async function succeeds(args: readonly string[], timeoutMs: number): Promise<boolean> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const command = new Deno.Command("docker", { args: [...args], stdin: "null", signal });
    return (await command.output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false; // no docker on this machine
    throw error;
  }
}
