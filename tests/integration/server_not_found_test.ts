import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Code, ConnectError } from "@connectrpc/connect";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { Health as GrpcHealth } from "../../gen/grpc/health/v1/health_pb.ts";
import { firstOf, nameOf, RpcConnection, WIRES } from "../support/rpc_clients.ts";
import { startServer } from "../support/server.ts";

const MESSAGE = "unknown path /grpc.health.v1.Health/Check";

/** A service that the test server does not have. */
for (const wire of WIRES) {
  Deno.test(`not found: ${nameOf(wire)}: UNIMPLEMENTED for a call and a stream`, async () => {
    await using server = await startServer();
    await using connection = new RpcConnection(server.url, wire);
    const client = connection.client(GrpcHealth);
    const isUnimplemented = (error: unknown) =>
      error instanceof ConnectError && error.code === Code.Unimplemented &&
      error.rawMessage.startsWith("unknown path /grpc.health.v1.Health/");
    await assert.rejects(client.check({}), isUnimplemented);
    await assert.rejects(firstOf((options) => client.watch({}, options)), isUnimplemented);
  });
}

Deno.test("not found: @grpc/grpc-js reads UNIMPLEMENTED from the trailers", async () => {
  await using server = await startServer();
  const client = new Client(server.url.host, credentials.createInsecure());
  try {
    const error = await new Promise<ServiceError | null>((resolve) => {
      const same = (bytes: Buffer) => bytes;
      client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        same,
        same,
        Buffer.alloc(0),
        (error) => resolve(error),
      );
    });
    assert.equal(error?.code, status.UNIMPLEMENTED);
    assert.equal(error?.details, MESSAGE);
  } finally {
    client.close();
  }
});

Deno.test("not found: a Connect GET and a POST in JSON get an error in JSON", async () => {
  await using server = await startServer();
  const response = await fetch(new URL("/grpc.health.v1.Health/Check", server.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), { code: "unimplemented", message: MESSAGE });
});

Deno.test("not found: everything else gets plain text", async () => {
  await using server = await startServer();
  const response = await fetch(new URL("/missing?secret=1", server.url));
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
  assert.equal(await response.text(), "404 Not Found: unknown path /missing\n");
});

Deno.test("not found: a wrong method says which one is right", async () => {
  await using server = await startServer();
  const path = "/treasury.v1.Health/GetHealth";
  for (
    const [method, target, allow] of [
      ["DELETE", path, "^(?=.*POST)(?=.*GET)"],
      ["GET", "/treasury.v1.Health/WatchHealth", "^POST$"],
      ["POST", "/livez", "^GET, HEAD$"],
      ["DELETE", "/", "^GET, HEAD$"],
    ] as const
  ) {
    const response = await fetch(new URL(target, server.url), { method });
    assert.equal(response.status, 405, `${method} ${target}`);
    assert.match(response.headers.get("allow") ?? "", new RegExp(allow), `${method} ${target}`);
    assert.match(await response.text(), /^405 Method Not Allowed: /);
  }
});

Deno.test("not found: a media type that no protocol has says which ones there are", async () => {
  await using server = await startServer();
  for (const contentType of ["text/xml", "application/jsonx", ""]) {
    const response = await fetch(new URL("/treasury.v1.Health/GetHealth", server.url), {
      method: "POST",
      headers: { "content-type": contentType },
      body: "<health/>",
    });
    assert.equal(response.status, 415, contentType);
    assert.match(await response.text(), /^415 Unsupported Media Type: use application\/json/);
  }
});

Deno.test("not found: a two-way stream over HTTP/1.1 is told that it needs HTTP/2", async () => {
  await using server = await startServer();
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const response = await fetch(new URL(path, server.url), {
    method: "POST",
    headers: { "content-type": "application/connect+json" },
    body: new Uint8Array(5),
  });
  assert.equal(response.status, 505);
  assert.match(await response.text(), /requires HTTP\/2/);
});
