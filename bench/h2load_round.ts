import { GET_HEALTH } from "./load.ts";

const CONNECTIONS = 50;
/** Per connection. A server must finish the calls of a killed client, too. */
const STREAMS = { polite: 100, killed: 32 };
/** About a second, and more than can complete before the kill. */
const CALLS = { polite: 3_000, killed: 200_000 };
/** During the calls. */
const KILL_AFTER_MS = 200;
/** Prevents a server that does not answer from blocking the benchmark. */
const TIMEOUT_MS = 20_000;

/** How h2load ends: it finishes its calls and sends GOAWAY, or it is killed during calls. */
export type H2loadEnd = "polite" | "killed";

/** Makes gRPC calls on many connections with h2load, until it ends. */
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
    // It has ended already.
    if (!(error instanceof TypeError)) throw error;
  }
}
