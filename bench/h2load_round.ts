import { GET_HEALTH } from "./load.ts";

const CONNECTIONS = 50;
const STREAMS = 100;
/** About half a second. */
const CALLS = 3_000;
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
        ...["-c", `${CONNECTIONS}`, "-m", `${STREAMS}`, "-n", `${CALLS}`, "-d", body],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers", `${url}${GET_HEALTH}`],
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const killed = setTimeout(
      () => child.kill("SIGKILL"),
      end === "killed" ? KILL_AFTER_MS : TIMEOUT_MS,
    );
    await child.status;
    clearTimeout(killed);
  } finally {
    await Deno.remove(body);
  }
}
