/** Result of a load test. */
export interface Measurement {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** 99th percentile of the response time, in milliseconds. */
  readonly p99Ms: number;
}

/** Puts load on one server for some time. */
export type Load = (address: string, seconds: number) => Promise<Measurement>;

export const GET_HEALTH = "treasury.v1.Health/GetHealth";
export const WRK_CONNECTIONS = 32;
export const H2LOAD_CLIENTS = 4;
export const H2LOAD_STREAMS = 16;

/** Connect with JSON over HTTP/1.1, by wrk. */
export const connectJson: Load = async (address, seconds) => {
  const script = await Deno.makeTempFile({ suffix: ".lua" });
  try {
    await Deno.writeTextFile(
      script,
      `wrk.method = "POST"\nwrk.body = "{}"\nwrk.headers["content-type"] = "application/json"\n`,
    );
    const output = await run("wrk", [
      ...[
        "-t1",
        `-c${WRK_CONNECTIONS}`,
        `-d${seconds}s`,
        "--timeout",
        "30s",
        "--latency",
        "-s",
        script,
      ],
      `${address}${GET_HEALTH}`,
    ]);
    const errors = /Non-2xx.*|Socket errors.*/.exec(output);
    if (errors) throw new Error(`wrk had errors: ${errors[0]}`);
    return {
      requests: Number(find(output, /(\d+) requests in/)[1]),
      requestsPerSecond: Number(find(output, /Requests\/sec: +([\d.]+)/)[1]),
      p99Ms: milliseconds(find(output, /99% +([\d.]+)(us|ms|s)/)),
    };
  } finally {
    await Deno.remove(script);
  }
};

/** gRPC over HTTP/2, by h2load. */
export const grpc: Load = async (address, seconds) => {
  const directory = await Deno.makeTempDir();
  try {
    const [body, log] = [`${directory}/message`, `${directory}/log`];
    await Deno.writeFile(body, new Uint8Array(5)); // an empty message in its envelope
    const output = await run("h2load", [
      ...["-c", `${H2LOAD_CLIENTS}`, "-m", `${H2LOAD_STREAMS}`, "-D", `${seconds}`],
      ...["-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers"],
      ...["--log-file", log, `${address}${GET_HEALTH}`],
    ]);
    // At the end, calls in progress are aborted; h2load does not count them.
    find(output, / 0 failed, 0 errored, 0 timeout/);
    const requestsPerSecond = Number(find(output, /finished in [^,]+, ([\d.]+) req\/s/)[1]);
    // One line for each call: start, HTTP status, duration in microseconds.
    const lines = (await Deno.readTextFile(log)).trim().split("\n");
    const durations = lines.map((line) => Number(line.split("\t")[2])).sort((a, b) => a - b);
    const p99Ms = durations[Math.floor(durations.length * 0.99)]! / 1000;
    return { requests: durations.length, requestsPerSecond, p99Ms };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
};

/** Returns the version line of a program, or undefined if it is not installed. */
export async function versionOf(program: string, flag = "--version"): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command(program, { args: [flag] }).output();
    return new TextDecoder().decode(stdout).split("\n", 1)[0]!.trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success) throw new Error(`${program} failed:\n${output}`);
  return output;
}

function find(output: string, pattern: RegExp): RegExpExecArray {
  const match = pattern.exec(output);
  if (match === null) throw new Error(`${pattern} is not in:\n${output}`);
  return match;
}

function milliseconds([, value, unit]: RegExpExecArray): number {
  return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"];
}
