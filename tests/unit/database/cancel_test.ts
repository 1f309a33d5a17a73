import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { cancelRequest, requestCancel } from "../../../src/database/connection/cancel.ts";
import { DatabaseError } from "../../../src/database/errors.ts";

const KEY = { pid: 0x01020304, secret: 0xfffefdfc };
const MESSAGE = [0, 0, 0, 16, 4, 210, 22, 46, 1, 2, 3, 4, 255, 254, 253, 252];

interface Peer extends AsyncDisposable {
  readonly dial: (signal: AbortSignal) => Promise<net.Socket>;
  /** The socket that `dial` gave. */
  readonly dialed: () => net.Socket;
}

/** A server that does something with each connection that has sent the request. */
async function peer(answer: (socket: net.Socket) => void): Promise<Peer> {
  const listener = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      assert.deepEqual([...data], MESSAGE);
      answer(socket);
    });
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  let dialed: net.Socket | undefined;
  return {
    dial: async () => {
      dialed = net.connect({ host: "127.0.0.1", port });
      await once(dialed, "connect");
      return dialed;
    },
    dialed: () => dialed!,
    async [Symbol.asyncDispose]() {
      listener.close();
      await once(listener, "close");
    },
  };
}

const patience = new AbortController().signal;

Deno.test("a cancel request has 16 bytes, with the process id and the secret as they are", () => {
  assert.deepEqual([...cancelRequest(KEY)], MESSAGE);
});

Deno.test("a cancel request is done when the server has closed the socket", async () => {
  await using server = await peer((socket) => socket.end());
  await requestCancel(KEY, server.dial, patience);
  assert.equal(server.dialed().destroyed, true);
});

Deno.test("a cancel request that is cut off proves nothing", async () => {
  await using server = await peer((socket) => socket.resetAndDestroy());
  await assert.rejects(requestCancel(KEY, server.dial, patience), { code: "CONNECTION_LOST" });
  assert.equal(server.dialed().destroyed, true);
});

Deno.test("a cancel request without an answer ends with the signal", async () => {
  const abort = new AbortController();
  const reason = new DatabaseError("STATEMENT_TIMEOUT");
  await using server = await peer((socket) => {
    abort.abort(reason);
    socket.once("close", () => socket.destroy());
  });
  await assert.rejects(requestCancel(KEY, server.dial, abort.signal), reason);
  assert.equal(server.dialed().destroyed, true);
});

Deno.test("a server that is unreachable is an error, and nothing else", async () => {
  const refused = new DatabaseError("CONNECTION_REFUSED");
  await assert.rejects(requestCancel(KEY, () => Promise.reject(refused), patience), refused);
});
