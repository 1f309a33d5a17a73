/**
 * `deno task dev`: runs the service on this machine, with an embedded PostgreSQL if no database is
 * configured, and restarts it after each change.
 *
 * @module
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Project } from "./project.ts";
import { Supervisor } from "./supervisor.ts";

// SIGHUP: the terminal was closed.
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * One Ctrl-C arrives more than once: the terminal sends it to the whole process group, and
 * `deno task` and npx forward it. A signal after this delay is a second Ctrl-C.
 */
const SAME_SIGNAL_MS = 500;

const stop = new AbortController();
const force = new AbortController();
let stoppedAt = 0;

function onSignal(): void {
  if (!stop.signal.aborted) {
    stoppedAt = performance.now();
    say("Stopping. Press Ctrl-C again to stop without waiting for requests.");
    stop.abort();
  } else if (performance.now() - stoppedAt > SAME_SIGNAL_MS) {
    force.abort();
  }
}

function say(text: string): void {
  console.log(text.startsWith("\n") ? text : `[dev] ${text}`);
}

/** The optional argument is another checkout to run; the tests use it. */
const root = Deno.args[0] ?? fileURLToPath(new URL("..", import.meta.url));

for (const signal of SIGNALS) Deno.addSignalListener(signal, onSignal);
try {
  const supervisor = new Supervisor({
    project: new Project(resolve(root)),
    env: Deno.env.toObject(),
    say,
    stop: stop.signal,
    force: force.signal,
  });
  await supervisor.run();
} catch (error) {
  if (!stop.signal.aborted) {
    console.error(`[dev] ${error instanceof Error ? error.message : error}`);
    Deno.exitCode = 1;
  }
} finally {
  for (const signal of SIGNALS) Deno.removeSignalListener(signal, onSignal);
}
