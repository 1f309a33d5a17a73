import { hostname } from "node:os";
import process from "node:process";
import { docker } from "./docker.ts";

/** Names the process that a container belongs to, on every container that tests start. */
const LABEL = "treasury.test.owner";

/** The label of this process's containers. */
export function ownerLabel(): Record<string, string> {
  return { [LABEL]: `${hostname()} ${Deno.pid}` };
}

/** Removes the containers of test processes that were killed. */
export async function clearAbandonedContainers(): Promise<void> {
  for (const id of await abandonedContainers()) {
    // Another test file that starts at this moment may be removing it too.
    await docker("rm", "--force", "--volumes", id).catch(() => {});
  }
}

/** Ids of containers that tests have started on this machine whose process has ended. */
export async function abandonedContainers(): Promise<string[]> {
  const format = `{{.ID}} {{.Label "${LABEL}"}}`;
  const filter = `label=${LABEL}`;
  const lines = (await docker("ps", "--all", "--filter", filter, "--format", format)).split("\n");
  return lines.map((line) => line.split(" ")).flatMap(([id, host, pid]) =>
    host === hostname() && !isAlive(Number(pid)) ? [id!] : []
  );
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
