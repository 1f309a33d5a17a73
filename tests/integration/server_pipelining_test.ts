import assert from "node:assert/strict";
import type { ConnectRouter } from "@connectrpc/connect";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { get, GET_HEALTH, post, RawSocket } from "../support/raw_socket.ts";
import { assertUnharmed, startServer, WITHOUT_TIMEOUTS } from "../support/server.ts";

const PATH = "/treasury.v1.Health/GetHealth";
/** A blank line and two spaces, which mean nothing in a body. */
const ODD_BODY = '{\r\n\r\n  "dependency":  ""\r\n\r\n}';
const CHUNKED = post(PATH, "", { "Transfer-Encoding": "chunked" })
  .replace(/Content-Length.*\r\n/, "") + "2\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n";

Deno.test("pipelining: a thousand requests are answered in order", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  const kinds = [get("/livez"), GET_HEALTH, post(PATH, ODD_BODY), CHUNKED, get("/missing")];
  const statuses = [200, 200, 200, 200, 404];
  socket.write(kinds.join("").repeat(200));
  for (let count = 0; count < 1_000; count++) {
    assert.equal((await socket.readResponse()).status, statuses[count % kinds.length]);
  }
  assert.equal(socket.ended, false);
});

Deno.test("pipelining: packets may be torn anywhere", async () => {
  await using server = await startServer();
  const bytes = `\r\n${post(PATH, ODD_BODY)}${CHUNKED}${get("/livez")}`;
  for (let cut = 1; cut < bytes.length; cut += 3) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(bytes.slice(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 1)); // a packet of its own
    socket.write(bytes.slice(cut));
    for (let count = 0; count < 3; count++) {
      assert.equal((await socket.readResponse()).status, 200, `torn at ${cut}`);
    }
  }
});

Deno.test("pipelining: a request waits until the one before is answered", async () => {
  const release = Promise.withResolvers<void>();
  let calls = 0;
  await using server = await startServer({}, (router: ConnectRouter) =>
    router.service(Health, {
      async getHealth() {
        if (calls++ === 0) await release.promise;
        return {};
      },
    }));
  await using socket = await RawSocket.connect(server.port);
  socket.write(GET_HEALTH.repeat(50));
  await eventually(() => calls === 1, { what: "the first is called" });
  await using other = await RawSocket.connect(server.port);
  other.write(get("/livez"));
  await other.readResponse();
  assert.equal(calls, 1);
  assert.equal(server.server.calls.inProgress, 1);
  release.resolve();
  for (let count = 0; count < 50; count++) {
    assert.equal((await socket.readResponse()).status, 200);
  }
});

Deno.test("pipelining: a client that sends on and reads nothing is not read from", async () => {
  const release = Promise.withResolvers<void>();
  await using server = await startServer({}, (router: ConnectRouter) =>
    router.service(Health, {
      async getHealth() {
        await release.promise;
        return {};
      },
    }));
  await using connection = await Deno.connect({ port: server.port });
  const writer = connection.writable.getWriter();
  const bytes = new TextEncoder().encode(GET_HEALTH.repeat(5_000));
  let sent = 0;
  const flood = (async () => {
    for (let count = 0; count < 200; count++) {
      await writer.write(bytes);
      sent++;
    }
  })().catch(() => {});
  let before = -1;
  await eventually(async () => {
    const isStill = sent === before;
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return isStill;
  }, { what: "the flood has come to a halt" });
  assert.ok(sent < 200, "the client has to wait");
  assert.equal(server.server.calls.inProgress, 1);
  release.resolve();
  await writer.abort().catch(() => {});
  await flood;
});

Deno.test("pipelining: what is no request line with single spaces gets 400", async () => {
  await using server = await startServer();
  const good = get("/livez");
  for (
    const bad of [
      good.replace(" /", "  /"),
      good.replace(" HTTP", "  HTTP"),
      good.replace(" HTTP", "   HTTP"),
      good.replace(" /", "\t/"),
      good.replace("HTTP/1.1\r", "HTTP/1.1 \r"),
    ]
  ) {
    for (const before of ["", good]) {
      await using socket = await RawSocket.connect(server.port);
      socket.write(before + bad + good);
      if (before !== "") assert.equal((await socket.readResponse()).status, 200);
      assert.equal((await socket.readResponse()).status, 400, JSON.stringify(bad));
      await socket.closedByServer();
    }
  }
  await assertUnharmed(server);
});

Deno.test("pipelining: two Host headers, or one that is none, get 400", async () => {
  await using server = await startServer();
  const good = get("/livez");
  for (
    const bad of [
      good.replace("Host", "Host: localhost\r\nHost"),
      good.replace("Host", "host: other\r\nHOST"),
      good.replace("localhost", "a b"),
      good.replace("localhost", "a/b"),
      good.replace("localhost", ""),
      good.replace("localhost", "a:99999"),
      good.replace("localhost", "999.999.999.999"),
      GET_HEALTH.replace("localhost", "a:99999"),
      get(`${PATH}?encoding=json&message=%7B%7D`).replace("localhost", "a:99999"),
    ]
  ) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(bad);
    assert.equal((await socket.readResponse()).status, 400, JSON.stringify(bad));
  }
  await assertUnharmed(server);
  assert.deepEqual(server.logs.filter(({ level }) => level === "error"), []);
});

Deno.test("pipelining: spaces in header values mean nothing, torn or not", async () => {
  await using server = await startServer();
  const bytes = get("/livez", { "User-Agent": "Mozilla  5.0   (X11)", "X-Empty": "  " });
  for (let cut = 1; cut <= bytes.length; cut++) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(bytes.slice(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 1)); // a packet of its own
    socket.write(bytes.slice(cut) + bytes);
    for (let count = 0; count < 2; count++) {
      assert.equal((await socket.readResponse()).status, 200, `torn at ${cut}`);
    }
  }
});

Deno.test("pipelining: a client that leaves while requests wait is noticed", async () => {
  await using server = await startServer(WITHOUT_TIMEOUTS);
  const watch = GET_HEALTH.replace(PATH, "/treasury.v1.Health/WatchHealth")
    .replace("application/json", "application/connect+json")
    .replace("Content-Length: 2", "Content-Length: 7")
    .replace("{}", "\0\0\0\0\x02{}");
  const socket = await Deno.connect({ port: server.port });
  await socket.write(new TextEncoder().encode(watch + get("/livez").repeat(3)));
  await eventually(() => server.server.calls.inProgress === 1, { what: "the stream runs" });
  await socket.closeWrite();
  await eventually(() => server.server.calls.inProgress === 0, { what: "its place is free" });
  socket.close();
});

Deno.test("pipelining: what was sent before the end is answered", async () => {
  await using server = await startServer();
  const socket = await Deno.connect({ port: server.port });
  await socket.write(new TextEncoder().encode(get("/livez").repeat(10)));
  await socket.closeWrite();
  const text = await new Response(socket.readable).text();
  assert.equal(text.match(/^alive$/gm)?.length, 10);
});

Deno.test("pipelining: a client that reads the last answer and stays is closed", async () => {
  await using server = await startServer(WITHOUT_TIMEOUTS);
  const socket = await Deno.connect({ port: server.port });
  await socket.write(new TextEncoder().encode(get("/livez", { Connection: "close" })));
  await eventually(() => server.server.connections === 0, { what: "the connection is closed" });
  socket.close();
});

Deno.test("pipelining: an HTTP/1.0 request needs no Host", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  socket.write("GET /livez HTTP/1.0\r\n\r\n");
  assert.equal((await socket.readResponse()).status, 200);
  await socket.closedByServer();
});

Deno.test("pipelining: an unsupported Expect header gets 417", async () => {
  await using server = await startServer();
  await using socket = await RawSocket.connect(server.port);
  socket.write(post(PATH, "{}", { Expect: "miracles" }));
  assert.equal((await socket.readResponse()).status, 417);
  await socket.closedByServer();
  await assertUnharmed(server);
});

Deno.test("pipelining: blank lines between requests do not keep a connection", async () => {
  await using server = await startServer({ idleTimeoutMs: 300 });
  await using socket = await RawSocket.connect(server.port);
  socket.write(`${GET_HEALTH}\r\n\r\n`);
  assert.equal((await socket.readResponse()).status, 200);
  socket.write("\r\n");
  await socket.closedByServer();
});
