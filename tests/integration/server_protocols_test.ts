import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import { compressionGzip } from "@connectrpc/connect-node";
import { Client, credentials } from "@grpc/grpc-js";
import {
  GetHealthRequestSchema,
  type GetHealthResponse,
  GetHealthResponseSchema,
  Health,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import { firstOf, nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer } from "../support/server.ts";

const EXPECTED = create(GetHealthResponseSchema, {
  status: ServiceStatus.HEALTHY,
  message: "Service is fully operational",
});

for (const wire of WIRES) {
  Deno.test(`protocols: ${nameOf(wire)}: a unary call and a stream`, async () => {
    await using server = await startServer();
    await using connection = new RpcConnection(server.url, wire);
    const client = connection.client(Health);

    assertExpected(await client.getHealth({}));
    assertExpected(await client.getHealth({}));
    const { health } = await firstOf((options) => client.watchHealth({}, options));
    assertExpected(health);
  });
}

for (const wire of WIRES) {
  Deno.test(`protocols: ${nameOf(wire)}: a request in gzip`, async () => {
    await using server = await startServer();
    const options = { sendCompression: compressionGzip };
    await using connection = new RpcConnection(server.url, wire, options);
    assertExpected(await connection.client(Health).getHealth({ dependency: "x".repeat(2_000) }));
  });
}

for (const wire of WIRES.filter(({ protocol }) => protocol === "connect")) {
  Deno.test(`protocols: ${nameOf(wire)}: GET for calls without side effects`, async () => {
    await using server = await startServer();
    await using connection = new RpcConnection(server.url, wire, { useHttpGet: true });
    assertExpected(await connection.client(Health).getHealth({ dependency: "postgresql" }));
    assert.equal(server.logs.at(-1)!.method, "/treasury.v1.Health/GetHealth");
  });
}

Deno.test("protocols: @grpc/grpc-js: a unary call", async () => {
  await using server = await startServer();
  const client = new Client(server.url.host, credentials.createInsecure());
  try {
    const health = await new Promise<GetHealthResponse>((resolve, reject) => {
      client.makeUnaryRequest(
        "/treasury.v1.Health/GetHealth",
        () => Buffer.from(toBinary(GetHealthRequestSchema, create(GetHealthRequestSchema))),
        (bytes) => fromBinary(GetHealthResponseSchema, bytes),
        {},
        (error, answer) => error ? reject(error) : resolve(answer!),
      );
    });
    assertExpected(health);
  } finally {
    client.close();
  }
});

Deno.test("protocols: JSON has the field names of the .proto file, and zeros", async () => {
  await using server = await startServer();
  const response = await fetch(new URL("/treasury.v1.Health/GetHealth", server.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), {
    status: "HEALTHY",
    message: "Service is fully operational",
    dependencies: [],
    checked_at: "",
    check_duration_ms: 0,
    version: "",
    uptime_seconds: 0,
  });
});

function assertExpected(answer: GetHealthResponse | undefined): void {
  assert.ok(answer && equals(GetHealthResponseSchema, answer, EXPECTED), JSON.stringify(answer));
}
