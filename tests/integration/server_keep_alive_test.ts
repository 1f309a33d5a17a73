import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Health, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { Flag, FrameType, PREFACE, settings } from "../support/http2_client_frames.ts";
import { type Frame, framesFrom } from "../support/http2_server_frames.ts";
import { get, GET_HEALTH, post, RawSocket } from "../support/raw_socket.ts";
import { startServer } from "../support/server.ts";

const LIVEZ = get("/livez");

Deno.test("keep-alive: two requests on one connection", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  for (const request of [GET_HEALTH, GET_HEALTH, LIVEZ, GET_HEALTH]) {
    socket.write(request);
    const response = await socket.readResponse();
    assert.equal(response.status, 200);
    assert.notEqual(response.header.get("connection"), "close");
  }
  assert.equal(socket.ended, false);
  assert.equal(server.server.connections, 1);
});

Deno.test("keep-alive: pipelined requests are answered in order", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  socket.write(LIVEZ + GET_HEALTH + get("/missing") + LIVEZ);
  assert.equal((await socket.readResponse()).body, "alive\n");
  assert.match((await socket.readResponse()).body, /"status":"HEALTHY"/);
  assert.equal((await socket.readResponse()).status, 404);
  assert.equal((await socket.readResponse()).body, "alive\n");
  assert.equal(socket.ended, false);
});

Deno.test("keep-alive: a request may arrive one byte at a time", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  for (let round = 0; round < 2; round++) {
    await socket.trickle(GET_HEALTH);
    assert.match((await socket.readResponse()).body, /"status":"HEALTHY"/);
  }
});

/** Longer than the server lingers for the rest of a request that it has answered. */
const LONG_MS = 1_500;

const EARLY_ANSWERS = [
  { what: "nothing at its path", path: "/missing", size: 1_000 },
  { what: "a message above the limit", path: "/treasury.v1.Health/GetHealth", size: 200_000 },
];

for (const { what, path, size } of EARLY_ANSWERS) {
  Deno.test(`keep-alive: a request is refused for ${what}, its rest comes, and the connection serves the next`, async () => {
    await using server = await startServer({}, (router) => {
      router.service(Health, {
        getHealth: async () => {
          await delay(LONG_MS);
          return { status: ServiceStatus.HEALTHY };
        },
      });
    });
    await using socket = await RawSocket.connect(server.port);
    const request = post(path, " ".repeat(size), { "Content-Type": "application/proto" });
    const rest = 10;
    socket.write(request.slice(0, -rest));
    assert.ok((await socket.readResponse()).status >= 400);
    socket.write(request.slice(-rest));
    socket.write(GET_HEALTH);
    assert.equal((await socket.readResponse()).status, 200);
    assert.equal(socket.ended, false);
  });
}

Deno.test("keep-alive: a method that begins like the HTTP/2 preface is HTTP/1.1", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  await socket.trickle(get("/").replace("GET", "PROPFIND"));
  assert.equal((await socket.readResponse()).status, 405);
});

Deno.test("keep-alive: the HTTP/2 preface may arrive one byte at a time", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  await socket.trickle(PREFACE.toString());
  socket.write(settings());
  const isAck = ({ type, flags }: Frame) => type === FrameType.SETTINGS && flags === Flag.ACK;
  await eventually(() => framesFrom(socket).some(isAck), { what: "settings are accepted" });
});

Deno.test("keep-alive: HTTP/1.0 gets one answer and the end of the connection", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  socket.write(LIVEZ.replace("HTTP/1.1", "HTTP/1.0"));
  assert.equal((await socket.readResponse()).body, "alive\n");
  await socket.closedByServer();
});

Deno.test("keep-alive: Connection: close is obeyed", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  socket.write(get("/livez", { Connection: "close" }));
  const response = await socket.readResponse();
  assert.equal(response.body, "alive\n");
  assert.equal(response.header.get("connection"), "close");
  await socket.closedByServer();
});

Deno.test("keep-alive: HEAD has the header of GET and no body", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  socket.write(LIVEZ.replace("GET", "HEAD"));
  const head = await socket.readResponse({ bodyless: true });
  assert.equal(head.status, 200);
  assert.equal(head.header.get("content-length"), "6");
  socket.write(LIVEZ);
  assert.equal((await socket.readResponse()).body, "alive\n");
});

Deno.test("keep-alive: a request without a Host, or for no URL, gets 400", async () => {
  await using server = await startServer();
  for (
    const request of ["GET /livez HTTP/1.1\r\n\r\n", "GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n"]
  ) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(request);
    assert.equal((await socket.readResponse()).status, 400);
  }
});
