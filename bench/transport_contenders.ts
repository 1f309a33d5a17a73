import { fileURLToPath } from "node:url";
import type { ServerConfig } from "../src/config/mod.ts";
import { ServerProcess } from "../tests/support/server_process.ts";
import { versionOf } from "./load.ts";
import { bundleForNode } from "./node_bundle.ts";

/** A kind of server, of which a benchmark starts fresh processes. */
export interface Contender {
  readonly name: string;
  start(options?: ContenderOptions): Promise<ServerProcess>;
}

export interface ContenderOptions {
  /** @default false */
  readonly tls?: boolean;
  /** Settings of the transport of this service; bare servers have none. */
  readonly config?: Partial<Omit<ServerConfig, "tls">>;
}

const BARE = fileURLToPath(new URL("./bare_server.ts", import.meta.url));
const CERTIFICATES = fileURLToPath(new URL("../tests/support/tls", import.meta.url));

/** The transport of this service. */
export function own(deno?: string): Contender {
  return {
    name: "own",
    start: (options = {}) => ServerProcess.start({ ...options, ...deno && { deno } }),
  };
}

/** A bare `node:http2` server on Deno. */
export function bareDeno(deno = Deno.execPath()): Contender {
  return bare("bare Deno", [deno, "run", "-A", "--v8-flags=--expose-gc", BARE]);
}

/** A bare `node:http2` server on Node.js; undefined if that is not installed. */
export async function bareNode(): Promise<Contender | undefined> {
  const version = await versionOf("node");
  if (version === undefined) return undefined;
  const bundle = await bundleForNode("bare_server");
  return bare(`bare Node ${version.replace("v", "")}`, ["node", "--expose-gc", bundle]);
}

/**
 * Returns the servers of a benchmark.
 *
 * @param names Which ones, of `own`, `deno` and `node`, separated by commas.
 */
export async function contenders(names: string): Promise<Contender[]> {
  const makers: Record<string, () => Contender | undefined | Promise<Contender | undefined>> = {
    own: () => own(),
    deno: () => bareDeno(),
    node: bareNode,
  };
  const found: Contender[] = [];
  for (const name of names.split(",")) {
    const make = makers[name];
    if (make === undefined) throw new Error(`Unknown server "${name}": use own, deno or node`);
    const contender = await make();
    if (contender) found.push(contender);
    else console.log("Node.js is not installed: its server is skipped.");
  }
  return found;
}

function bare(name: string, command: readonly string[]): Contender {
  return {
    name,
    start: ({ tls = false } = {}) =>
      ServerProcess.start({ command: tls ? [...command, CERTIFICATES] : command }),
  };
}
