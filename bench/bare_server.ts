/**
 * A bare `node:http2` server, for Deno and, bundled, for Node.js, as a baseline for the transport
 * of this service. It answers every gRPC call with an empty message and trailers, leaves a Watch
 * open after its first message, and answers HTTP/1.1 on a separate port. Uses standard input and
 * output as `tests/support/server_main.ts` does; with a folder of certificates as its argument it
 * serves TLS.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo, Server } from "node:net";
import process from "node:process";
import { answerUsage } from "../tests/support/server_usage.ts";

const MESSAGE = Buffer.alloc(5);
const MAX_CONCURRENT_STREAMS = 100;

const [certificates] = process.argv.slice(2);
const tls = certificates === undefined ? undefined : {
  cert: await readFile(`${certificates}/server.pem`),
  key: await readFile(`${certificates}/server-key.pem`),
};
const settings = { settings: { maxConcurrentStreams: MAX_CONCURRENT_STREAMS } };
const http1 = tls ? https.createServer(tls, answerHttp1) : http.createServer(answerHttp1);
const http2Server = tls
  ? http2.createSecureServer({ ...settings, ...tls })
  : http2.createServer(settings);

let connections = 0;
let sessions = 0;
const collected = new FinalizationRegistry(() => sessions--);

for (const server of [http1, http2Server]) {
  server.on("connection", (socket) => {
    connections++;
    socket.once("close", () => connections--);
  });
}
http2Server.on("session", (session) => {
  sessions++;
  collected.register(session, undefined);
  session.on("error", () => {});
});
http2Server.on("stream", answerCall);

function answerCall(stream: http2.ServerHttp2Stream, header: http2.IncomingHttpHeaders): void {
  stream.on("error", () => {});
  // The client may have disconnected before its call is handled.
  if (stream.destroyed || stream.closed) return;
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  if (header[":path"]?.includes("Watch")) return void stream.write(MESSAGE);
  stream.resume();
  stream.once("end", () => stream.end(MESSAGE));
}

function answerHttp1(request: http.IncomingMessage, response: http.ServerResponse): void {
  request.resume();
  request.once("end", () => response.end("{}"));
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const scheme = tls ? "https" : "http";
console.log(JSON.stringify({
  event: "service.started",
  url: `${scheme}://127.0.0.1:${await listen(http2Server as unknown as Server)}/`,
  http1Url: `${scheme}://127.0.0.1:${await listen(http1)}/`,
}));
await answerUsage(() => ({ connections, sessions }));
process.exit(0);
