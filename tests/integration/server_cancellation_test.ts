import assert from "node:assert/strict";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { CONNECTION_START, grpcCall } from "../support/http2_client.ts";
import { FrameType, rstStream } from "../support/http2_client_frames.ts";
import { hasFrame } from "../support/http2_server_frames.ts";
import { GET_HEALTH, RawSocket } from "../support/raw_socket.ts";
import { nameOf, RpcConnection, type Wire, WIRES } from "../support/rpc_clients.ts";
import { startServer } from "../support/server.ts";

const GET_HEALTH_PATH = "/treasury.v1.Health/GetHealth";
const WATCH_PATH = "/treasury.v1.Health/WatchHealth";

/** Calls that only their signal ends, and the signals of those that were made. */
class EndlessCalls {
  readonly signals: AbortSignal[] = [];

  readonly routes = (router: ConnectRouter): void => {
    router.service(Health, {
      getHealth: (_request, context) => this.#aborted(context),
      watchHealth: (_request, context) => this.#watch(context),
    });
  };

  async *#watch(context: HandlerContext) {
    yield {};
    await this.#aborted(context);
  }

  #aborted({ signal }: HandlerContext): Promise<never> {
    this.signals.push(signal);
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }
}

for (const wire of WIRES.filter(({ useBinaryFormat }) => useBinaryFormat)) {
  Deno.test(`deadline: ${nameOf(wire)}: ends the handler and its client is told`, async () => {
    const calls = new EndlessCalls();
    await using server = await startServer({}, calls.routes);
    await using connection = new RpcConnection(server.url, wire, {
      interceptors: [deadlineFor(wire)],
    });
    await assert.rejects(connection.client(Health).getHealth({}), isDeadlineExceeded);
    assert.ok(isDeadlineExceeded(calls.signals[0]!.reason));
  });

  Deno.test(`deadline: ${nameOf(wire)}: ends a stream`, async () => {
    const calls = new EndlessCalls();
    await using server = await startServer({}, calls.routes);
    await using connection = new RpcConnection(server.url, wire, {
      interceptors: [deadlineFor(wire)],
    });
    let received = 0;
    await assert.rejects(async () => {
      for await (const _ of connection.client(Health).watchHealth({})) received++;
    }, isDeadlineExceeded);
    assert.equal(received, 1);
    assert.ok(isDeadlineExceeded(calls.signals[0]!.reason));
  });
}

Deno.test("cancellation: a client that leaves an HTTP/1.1 call or stream aborts it", async () => {
  const calls = new EndlessCalls();
  await using server = await startServer({}, calls.routes);
  const watch = GET_HEALTH.replace(GET_HEALTH_PATH, WATCH_PATH)
    .replace("application/json", "application/connect+json")
    .replace("Content-Length: 2", "Content-Length: 7")
    .replace("{}", "\0\0\0\0\x02{}");
  for (const request of [GET_HEALTH, watch]) {
    await using socket = await RawSocket.connect(server.port);
    socket.write(request);
    const signal = await eventually(() => calls.signals.pop(), { what: "the call runs" });
    assert.equal(signal.aborted, false);
    await socket[Symbol.asyncDispose]();
    await eventually(() => signal.aborted, { what: "the call is aborted" });
  }
});

for (const path of [GET_HEALTH_PATH, WATCH_PATH]) {
  Deno.test(`cancellation: a lost HTTP/2 connection aborts ${path}`, async () => {
    const calls = new EndlessCalls();
    await using server = await startServer({}, calls.routes);
    await using socket = await RawSocket.connect(server.port);
    socket.write(CONNECTION_START);
    socket.write(grpcCall(1, path));
    const signal = await eventually(() => calls.signals[0], { what: "the call runs" });
    assert.equal(signal.aborted, false);
    await socket[Symbol.asyncDispose]();
    await eventually(() => signal.aborted, { what: "the call is aborted" });
  });

  Deno.test(`cancellation: RST_STREAM aborts ${path} and no other`, async () => {
    const calls = new EndlessCalls();
    await using server = await startServer({}, calls.routes);
    await using socket = await RawSocket.connect(server.port);
    socket.write(CONNECTION_START);
    socket.write(grpcCall(1, path));
    await eventually(() => calls.signals.length === 1, { what: "the first call runs" });
    socket.write(grpcCall(3, path));
    await eventually(() => calls.signals.length === 2, { what: "the second call runs" });

    socket.write(rstStream(1));
    await eventually(() => calls.signals[0]!.aborted, { what: "the first call is aborted" });
    assert.equal(calls.signals[1]!.aborted, false);
    assert.equal(hasFrame(socket, FrameType.GOAWAY), false);
  });
}

/** Asks for a deadline that only the server watches: a client's own clock would be first. */
function deadlineFor({ protocol }: Wire): Interceptor {
  const [name, value] = protocol === "connect"
    ? ["connect-timeout-ms", "500"]
    : ["grpc-timeout", "500m"];
  return (next) => (request) => {
    request.header.set(name!, value!);
    return next(request);
  };
}

function isDeadlineExceeded(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.DeadlineExceeded;
}
