/**
 * Broken, absurd and hostile input: every time the server answers with a clean error or closes the
 * connection, and then serves the next client.
 *
 * The input is random. A failure names its seed; `FUZZ_SEED=<seed>` repeats it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import net from "node:net";
import { inspect } from "node:util";
import { eventually } from "../support/condition.ts";
import { Http2Session } from "../support/http2_session.ts";
import { ServerProcess, type ServerUsage } from "../support/server_process.ts";
import { call } from "./transport/call_client.ts";
import { BAD_CALLS } from "./transport/fuzz_calls.ts";
import { HTTP1_ATTACKS, http1Lines } from "./transport/fuzz_http1.ts";
import { HTTP2_ATTACKS, http2Attack, http2Frames } from "./transport/fuzz_http2.ts";
import { FRAME_MUTATIONS, MUTATIONS } from "./transport/fuzz_mutations.ts";
import { assertAnswers } from "./transport/normal_client.ts";
import { Random } from "./transport/random.ts";

const SEED = Number(Deno.env.get("FUZZ_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const CLIENTS_AT_ONCE = 32;
const CALLS_OF_A_KIND = 30;
/** Short, because clients that stop in the middle are only ended by these. */
const TIMEOUTS = { headerTimeoutMs: 2_000, requestTimeoutMs: 2_000, idleTimeoutMs: 2_000 };
/**
 * What a server may keep for good of a connection. Deno's own HTTP/2 server keeps 4 KB, and some
 * 40 KB of one whose client leaves in the middle of a call.
 */
const KEPT_BYTES_PER_CONNECTION = 64 * 1024;

/** One connection's worth of bytes. */
interface Attack {
  readonly name: string;
  readonly bytes: (random: Random) => Buffer;
}

Deno.test(`fuzz: bytes on a connection (FUZZ_SEED=${SEED})`, async () => {
  await using server = await ServerProcess.start({ config: TIMEOUTS });
  await attackWith(server, attacks(1), SEED); // Code is compiled and caches are filled.
  const before = await settledUsage(server);
  const list = attacks(3);
  await attackWith(server, list, SEED + 1);
  const after = await settledUsage(server);
  const kept = (after.heapUsed - before.heapUsed) / list.length;
  assert(kept < KEPT_BYTES_PER_CONNECTION, `it keeps ${kept} bytes of a connection`);
  await assertStopsCleanly(server);
});

Deno.test(`fuzz: calls that are sound HTTP (FUZZ_SEED=${SEED})`, async () => {
  await using server = await ServerProcess.start();
  await callWith(server);
  await assertStopsCleanly(server);
});

Deno.test("fuzz: a server forgets pipelined requests whose client has left", async () => {
  await using server = await ServerProcess.start();
  const requests = Buffer.from("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(500));
  const pipeline = async () => {
    const socket = net.connect({ port: server.port, host: "127.0.0.1" });
    socket.on("error", () => {}).resume();
    socket.end(requests);
    await once(socket, "close");
  };
  await pipeline();
  const before = await settledUsage(server);
  for (let count = 0; count < 10; count++) await pipeline();
  const kept = ((await settledUsage(server)).heapUsed - before.heapUsed) / 10;
  assert(kept < 500 * 1024, `it keeps ${kept} bytes of a connection`);
  await assertStopsCleanly(server);
});

async function callWith(server: ServerProcess): Promise<void> {
  await using client = new Http2Session(new URL(server.url));
  for (const [name, makeCall] of Object.entries(BAD_CALLS)) {
    for (let index = 0; index < CALLS_OF_A_KIND; index++) {
      const bad = makeCall(new Random(SEED + index));
      const answer = await call(client.session, bad);
      assert(
        answer.code !== undefined && bad.codes.includes(answer.code),
        `${name} (FUZZ_SEED=${SEED}): ${inspect({ bad, answer })}`,
      );
    }
    await assertAnswers(server.url);
  }
}

async function assertStopsCleanly(server: ServerProcess): Promise<void> {
  const { code } = await server.stop();
  assert.equal(code, 0, server.output);
  assert.deepEqual(server.errors, []);
}

function attacks(repetitions: number): Attack[] {
  const kinds: Attack[] = [
    ...Object.entries(HTTP1_ATTACKS).map(([name, attack]) => ({
      name,
      bytes: (random: Random) => Buffer.from(attack(random) as string, "latin1"),
    })),
    ...Object.keys(HTTP2_ATTACKS).map((name) => ({
      name,
      bytes: (random: Random) => http2Attack(name, random),
    })),
    ...Object.entries(MUTATIONS).map(([name, mutate]) => ({
      name: `HTTP/1.1 with ${name}`,
      bytes: (random: Random) => Buffer.concat(mutate(http1Lines(random), random)),
    })),
    ...Object.entries(FRAME_MUTATIONS).map(([name, mutate]) => ({
      name: `HTTP/2 with ${name}`,
      bytes: (random: Random) => Buffer.concat(mutate(http2Frames(random), random)),
    })),
  ];
  return Array.from({ length: repetitions }, () => kinds).flat();
}

/** @throws {AggregateError} With one error for each attack that the server did not withstand. */
async function attackWith(
  server: ServerProcess,
  list: readonly Attack[],
  seed: number,
): Promise<void> {
  const failures: Error[] = [];
  const queue = list.entries();
  const client = async () => {
    for (const [index, { name, bytes }] of queue) {
      const random = new Random(seed * 1_000 + index);
      try {
        await sendAndWait(server.port, bytes(random), random);
        await assertAnswers(server.url);
      } catch (cause) {
        failures.push(new Error(name, { cause }));
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS_AT_ONCE }, client));
  const message = `FUZZ_SEED=${SEED}; the server said:\n${server.output}`;
  if (failures.length > 0) throw new AggregateError(failures, message);
}

/** Sends bytes in random pieces, and waits until the server has closed the connection. */
async function sendAndWait(port: number, bytes: Buffer, random: Random): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  try {
    // A reset is one way for a server to close.
    socket.on("error", () => {}).resume();
    await once(socket, "connect");
    const split = random.below(bytes.length);
    socket.write(bytes.subarray(0, split));
    socket.write(bytes.subarray(split));
    if (random.chance(0.5)) socket.end();
    await eventually(() => socket.closed, { what: "the server closes the connection" });
  } finally {
    socket.destroy();
  }
}

async function settledUsage(server: ServerProcess): Promise<ServerUsage> {
  return await eventually(async () => {
    const usage = await server.usage();
    return usage.connections === 0 ? usage : undefined;
  }, { what: "the server has closed every connection" });
}
