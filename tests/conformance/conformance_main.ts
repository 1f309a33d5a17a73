/**
 * The program that connectconformance tests: reads a ServerCompatRequest from standard input, serves
 * `ConformanceService` on the product's own {@linkcode Server} as it asks, says where in a
 * ServerCompatResponse on standard output, and ends on SIGTERM.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { buffer } from "node:stream/consumers";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Secret, type ServerConfig } from "../../src/config/mod.ts";
import { createLogger } from "../../src/log/mod.ts";
import { reportStrayErrors, stopSignal } from "../../src/process.ts";
import { Server } from "../../src/server/mod.ts";
import { SERVER_DEFAULTS } from "../support/server.ts";
import { conformanceRoutes } from "./conformance_service.ts";
import {
  type ServerCompatRequest,
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";

/** Each message has its length before it, as a big-endian 32-bit number. */
const LENGTH_BYTES = 4;

/** A runner that was killed tells nobody; its servers must not stay for ever. */
const LONGEST_LIFE_MS = 600_000;

async function serve(): Promise<void> {
  const request = await readRequest();
  // Standard output belongs to the runner.
  const logger = createLogger({ level: "error", format: "json" }, {
    version: "0.0.0-test",
    destination: { write: (line) => void process.stderr.write(line) },
  });
  reportStrayErrors(logger);
  const config = configFor(request);
  await using server = new Server({
    config,
    logger,
    routes: conformanceRoutes,
    readiness: () => ({ ready: true, reason: "" }),
  });
  const { port } = await server.listen();
  const pemCert = Buffer.from(config.tls?.cert ?? "");
  writeResponse({ host: config.host, port: Number(port), pemCert });
  setTimeout(() => Deno.exit(1), LONGEST_LIFE_MS);
  await stopSignal(() => Deno.exit(1));
  await server.close();
}

function configFor(request: ServerCompatRequest): ServerConfig {
  const { serverCreds: credentials, messageReceiveLimit } = request;
  return {
    ...SERVER_DEFAULTS,
    tls: credentials && {
      cert: textOf(credentials.cert),
      key: new Secret(textOf(credentials.key)),
    },
    maxRequestBytes: messageReceiveLimit,
  };
}

/** The runner closes standard input after the request. */
async function readRequest(): Promise<ServerCompatRequest> {
  const bytes = await buffer(process.stdin);
  return fromBinary(ServerCompatRequestSchema, bytes.subarray(LENGTH_BYTES));
}

function writeResponse(response: MessageInitShape<typeof ServerCompatResponseSchema>): void {
  const bytes = toBinary(ServerCompatResponseSchema, create(ServerCompatResponseSchema, response));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(bytes.length);
  process.stdout.write(Buffer.concat([length, bytes]));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

await serve();
Deno.exit(0);
