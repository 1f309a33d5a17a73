import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { create, fromBinary, toBinary, toJson } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { Client, credentials, type Metadata, type ServiceError } from "@grpc/grpc-js";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import {
  GetHealthRequestSchema,
  GetHealthResponseSchema,
  Health,
} from "../../gen/treasury/v1/health_pb.ts";
import { DatabaseError, type DatabaseErrorCode } from "../../src/database/mod.ts";
import { type DocumentedError, documentedErrors } from "../support/error_table.ts";
import { nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer, type TestServer } from "../support/server.ts";

const GET_HEALTH = "/treasury.v1.Health/GetHealth";
const WATCH_HEALTH = "/treasury.v1.Health/WatchHealth";

/** In everything that is for the log only. */
const CANARY = "the canary of db.internal";

/** Fails with the database error that `dependency` names; the stream after its first message. */
function failingRoutes(router: ConnectRouter): void {
  const failure = (code: string) =>
    new DatabaseError(code as DatabaseErrorCode, { message: CANARY, cause: new Error(CANARY) });
  router.service(Health, {
    getHealth: ({ dependency }) => {
      throw failure(dependency);
    },
    async *watchHealth({ dependency }) {
      yield {};
      throw failure(dependency);
    },
  });
}

for (const wire of WIRES) {
  Deno.test(`database errors: ${nameOf(wire)}: every row of docs/errors.md, unary and stream`, async () => {
    await using server = await startServer({}, failingRoutes);
    await using connection = new RpcConnection(server.url, wire);
    const client = connection.client(Health);
    for (const expected of documentedErrors()) {
      const dependency = expected.reason;
      assertTold(await failureOf(client.getHealth({ dependency })), expected);
      assertTold(await failureOf(drain(client.watchHealth({ dependency }))), expected);
    }
    assertLogged(server, documentedErrors());
  });
}

Deno.test("database errors: @grpc/grpc-js: every row of docs/errors.md, unary and stream", async () => {
  await using server = await startServer({}, failingRoutes);
  const client = new Client(server.url.host, credentials.createInsecure());
  try {
    for (const expected of documentedErrors()) {
      assertTold(fromGrpcJs(await unaryFailure(client, expected.reason)), expected);
      assertTold(fromGrpcJs(await streamFailure(client, expected.reason)), expected);
    }
  } finally {
    client.close();
  }
  assertLogged(server, documentedErrors());
});

Deno.test("database errors: Connect: the HTTP status and the JSON of every row of docs/errors.md", async () => {
  await using server = await startServer({}, failingRoutes);
  for (const { reason, message, code, httpStatus, retryDelayMs } of documentedErrors()) {
    const response = await fetch(new URL(GET_HEALTH, server.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ dependency: reason }),
    });
    assert.equal(response.status, httpStatus, reason);
    const { details, ...error } = await response.json();
    assert.deepEqual(error, { code: codeToString(code), message });
    const shown = details.map(({ type, debug }: { type: string; debug: unknown }) => [type, debug]);
    assert.deepEqual(shown, [
      ["google.rpc.ErrorInfo", { reason, domain: "treasury.v1", metadata: {} }],
      ...(retryDelayMs === undefined ? [] : [["google.rpc.RetryInfo", {
        retry_delay: toJson(DurationSchema, durationFromMs(retryDelayMs)),
      }]]),
    ]);
  }
});

function assertTold(error: ConnectError, { reason, message, code, retryDelayMs }: DocumentedError) {
  assert.deepEqual([Code[error.code], error.rawMessage], [Code[code], message], reason);
  const [info, ...moreInfos] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual([info?.reason, info?.domain, moreInfos], [reason, "treasury.v1", []]);
  const delays = error.findDetails(RetryInfoSchema).map(({ retryDelay }) =>
    durationMs(retryDelay!)
  );
  assert.deepEqual(delays, retryDelayMs === undefined ? [] : [retryDelayMs], reason);
  const received = JSON.stringify([error.message, error.details, [...error.metadata]]);
  assert.doesNotMatch(received, new RegExp(CANARY));
}

/** Each call has left one record with its method and cause, at the documented level. */
function assertLogged({ logs }: TestServer, errors: readonly DocumentedError[]) {
  const failures = logs.filter(({ event }) => event === "rpc.failed");
  assert.deepEqual(
    failures.map(({ method, level, err }) => [method, level, (err as { code: string }).code]),
    errors.flatMap(({ reason, level }) =>
      [GET_HEALTH, WATCH_HEALTH].map((method) => [method, level, reason])
    ),
  );
  for (const { err } of failures) assert.match(JSON.stringify(err), new RegExp(CANARY));
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(() => undefined, (error) => error);
  assert.ok(error instanceof ConnectError, "the call succeeded");
  return error;
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

const encode = (dependency: string) =>
  Buffer.from(toBinary(GetHealthRequestSchema, create(GetHealthRequestSchema, { dependency })));
const decode = (bytes: Uint8Array) => fromBinary(GetHealthResponseSchema, bytes);

function unaryFailure(client: Client, reason: string): Promise<ServiceError> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      GET_HEALTH,
      encode,
      decode,
      reason,
      (error) => error ? resolve(error) : reject(new Error("the call succeeded")),
    );
  });
}

function streamFailure(client: Client, reason: string): Promise<ServiceError> {
  return new Promise((resolve, reject) => {
    const stream = client.makeServerStreamRequest(WATCH_HEALTH, encode, (bytes) => bytes, reason);
    stream.on("data", () => {});
    stream.on("error", (error) => resolve(error as ServiceError));
    stream.on("end", () => reject(new Error("the call succeeded")));
  });
}

/** As Connect shows errors, with the details that grpc-js hands out undecoded. */
function fromGrpcJs({ code, details, metadata }: ServiceError): ConnectError {
  const trailer = new Headers({ "grpc-status": String(code), "grpc-message": details });
  trailer.set("grpc-status-details-bin", statusDetails(metadata));
  const error = findTrailerError(trailer);
  assert.ok(error);
  assert.deepEqual([Number(code), details], [Number(error.code), error.rawMessage]);
  return error;
}

function statusDetails(metadata: Metadata): string {
  const values = metadata.get("grpc-status-details-bin");
  assert.equal(values.length, 1);
  return (values[0] as Buffer).toString("base64");
}
