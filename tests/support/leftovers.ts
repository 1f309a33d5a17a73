/**
 * Fails when a test run has left a process, a directory or a container behind, and says which; run
 * after the tests. What belongs to a test process that is still alive does not count.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listProcesses } from "../../dev/postgres/processes.ts";
import { whyNoContainers } from "./docker.ts";
import { abandonedContainers } from "./postgres_container_owner.ts";
import { abandonedDirectories, isOwned, TEST_PREFIX } from "./postgres_directory.ts";

/** One line for each thing that is left. */
export async function findLeftovers(): Promise<string[]> {
  const leftovers: string[] = [];
  for (const { pid, command } of await listProcesses()) {
    // Every process that tests start for long has its test directory's name in its command line.
    const name = new RegExp(`${TEST_PREFIX}\\w+`).exec(command)?.[0];
    if (name !== undefined && !await isOwned(join(tmpdir(), name))) {
      leftovers.push(`process ${pid}: ${command}`);
    }
  }
  const directories = await abandonedDirectories(0);
  const containers = await whyNoContainers() === undefined ? await abandonedContainers() : [];
  return [
    ...leftovers,
    ...directories.map((path) => `directory ${path}`),
    ...containers.map((id) => `container ${id}`),
  ];
}

if (import.meta.main) {
  const leftovers = await findLeftovers();
  if (leftovers.length > 0) {
    console.error(["The tests left behind:", ...leftovers].join("\n  "));
    Deno.exit(1);
  }
}
