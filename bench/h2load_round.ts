import { GET_HEALTH } from "./load.ts";

const CONNECTIONS = 50;
/** On each connection. A server has to work off the calls of a client that was killed. */
const STREAMS = { polite: 100, killed: 32 };
/** About a second, and more than there is time for until the kill. */
const CALLS = { polite: 3_000, killed: 200_000 };
/** In the middle of the calls. */
const KILL_AFTER_MS = 200;
/** A server that does not answer must not hold the bench up. */
const TIMEOUT_MS = 20_000;

/** How h2load leaves: it finishes its calls and says GOAWAY, or it is killed in the middle. */
export type H2loadEnd = "polite" | "killed";

/** Lets h2load make gRPC calls on many connections, and leave. */
export async function h2loadRound(url: string, end: H2loadEnd): Promise<void> {
  const body = await Deno.makeTempFile();
  try {
    await Deno.writeFile(body, new Uint8Array(5)); // an empty message in its envelope
    const child = new Deno.Command("h2load", {
      args: [
        ...["-c", `${CONNECTIONS}`, "-m", `${STREAMS[end]}`, "-n", `${CALLS[end]}`, "-d", body],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers", `${url}${GET_HEALTH}`],
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const killed = setTimeout(
      () => killIfAlive(child),
      end === "killed" ? KILL_AFTER_MS : TIMEOUT_MS,
    );
    await child.status;
    clearTimeout(killed);
  } finally {
    await Deno.remove(body);
  }
}

function killIfAlive(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has ended, and its status is on the way.
    if (!(error instanceof TypeError)) throw error;
  }
}
