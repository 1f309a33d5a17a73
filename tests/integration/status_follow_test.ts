import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import http from "node:http";
import { askHealth, followHealth } from "../../src/commands/status/service.ts";
import type { Sighting } from "../../src/commands/status/sighting.ts";
import { startServer } from "../support/server.ts";

/** What follows is told without end, so the test leaves when it has seen enough. */
async function take(count: number, sightings: AsyncIterable<Sighting>): Promise<Sighting[]> {
  const taken: Sighting[] = [];
  for await (const sighting of sightings) {
    taken.push(sighting);
    if (taken.length === count) break;
  }
  return taken;
}

/** A server of somebody else, on a free port of the loopback interface. */
async function listen(server: net.Server | http.Server) {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    connections: () => sockets.size,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

Deno.test("status: a service that accepts and never answers is not waited for without end", async () => {
  await using frozen = await listen(net.createServer());
  const options = { url: frozen.url, signal: new AbortController().signal, answerTimeoutMs: 50 };
  assert.deepEqual(await askHealth(options), { problem: "no response in time" });
  assert.deepEqual(await take(1, followHealth(options)), [{ problem: "no response in time" }]);
});

Deno.test("status: something else at the URL is told from a service that is down", async () => {
  await using other = await listen(
    http.createServer((_, response) => response.writeHead(404).end()),
  );
  const { signal } = new AbortController();
  const sighting = await askHealth({ url: other.url, signal });
  assert.deepEqual(sighting, { problem: "the server is not a Treasury Service" });
});

Deno.test("status: a silent stream is reopened", async () => {
  await using server = await startServer(); // its stream has one message, and stays open
  const stop = new AbortController();
  const options = { url: server.url.href, signal: stop.signal, silenceTimeoutMs: 50 };
  const sightings = await take(3, followHealth(options));
  assert.equal(sightings.filter((one) => "health" in one).length >= 2, true);
});

Deno.test("status: following ends when it is aborted, also between two attempts", async () => {
  await using frozen = await listen(net.createServer((socket) => socket.destroy()));
  const stop = new AbortController();
  const sightings = followHealth({ url: frozen.url, signal: stop.signal });
  assert.ok("problem" in (await sightings.next()).value!);
  const next = sightings.next();
  stop.abort();
  assert.deepEqual(await next, { done: true, value: undefined });
});
