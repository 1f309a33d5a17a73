import { create, fromBinary, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  Freshness,
  GetHealthRequestSchema,
  type GetHealthResponse,
  GetHealthResponseSchema,
} from "../../gen/treasury/v1/health_pb.ts";
import { getHealth } from "../support/health_client.ts";
import { createDatabase } from "../support/postgres.ts";
import { whyNoProgram } from "../support/requirement.ts";
import { databaseEnv, ROOT, startService } from "../support/service.ts";

const METHOD = "/treasury.v1.Health/GetHealth";

const REQUEST = { freshness: "FRESH" };

Deno.test("every client gets the same answer from the same port", async (t) => {
  await using postgres = await createDatabase();
  await using service = await startService({ env: databaseEnv(postgres) });
  await service.logged("health.changed");
  const expected = fromJson(
    GetHealthResponseSchema,
    await getHealth(service.url, REQUEST) as never,
  );
  assert.equal(expected.dependencies.length, 1);

  const combinations = [
    ["connect", "HTTP/1.1"],
    ["connect", "HTTP/2"],
    ["grpcweb", "HTTP/1.1"],
    ["grpcweb", "HTTP/2"],
    ["grpc", "HTTP/2"],
  ] as const;
  for (const [protocol, version] of combinations) {
    await t.step(`buf curl: ${protocol} over ${version}`, async () => {
      assertSame(await bufCurl(service.url, protocol, version), expected);
    });
  }

  await t.step("@grpc/grpc-js", async () => {
    assertSame(await grpcJs(service.url), expected);
  });

  await t.step("fetch: Connect GET", async () => {
    const query = new URLSearchParams({
      connect: "v1",
      encoding: "json",
      message: JSON.stringify(REQUEST),
    });
    const response = await fetch(`${service.url}${METHOD}?${query}`);
    assertSame(fromJson(GetHealthResponseSchema, await response.json()), expected);
  });

  const noCurl = whyNoProgram("curl", "curl");
  await t.step({
    name: noCurl === undefined ? "curl" : `curl (ignored: ${noCurl})`,
    ignore: noCurl !== undefined,
    fn: async () => {
      const header = "content-type: application/json";
      const url = `${service.url}${METHOD}`;
      const json = await run("curl", ["-s", "-H", header, "-d", JSON.stringify(REQUEST), url]);
      assertSame(fromJson(GetHealthResponseSchema, JSON.parse(json)), expected);
    },
  });
});

/** Without a .proto file at hand: the schema comes by reflection, which needs HTTP/2. */
async function bufCurl(url: string, protocol: string, version: string): Promise<GetHealthResponse> {
  const http = version === "HTTP/2"
    ? ["--http2-prior-knowledge"]
    : ["--schema", join(ROOT, "proto")];
  const call = ["--protocol", protocol, "-d", JSON.stringify(REQUEST), `${url}${METHOD}`];
  const buf = ["task", "--cwd", ROOT, "--quiet", "buf", "curl", "--emit-defaults"];
  const json: JsonValue = JSON.parse(await run(Deno.execPath(), [...buf, ...http, ...call]));
  return fromJson(GetHealthResponseSchema, json);
}

async function grpcJs(url: string): Promise<GetHealthResponse> {
  const client = new grpc.Client(new URL(url).host, grpc.credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        METHOD,
        (request) => Buffer.from(toBinary(GetHealthRequestSchema, request)),
        (bytes) => fromBinary(GetHealthResponseSchema, bytes),
        create(GetHealthRequestSchema, { freshness: Freshness.FRESH }),
        (error, response) => error ? reject(error) : resolve(response!),
      );
    });
  } finally {
    client.close();
  }
}

/** Everything but times and the momentary use of the pool must be the same. */
function assertSame(actual: GetHealthResponse, expected: GetHealthResponse): void {
  assert.deepEqual(lasting(actual), lasting(expected));
}

function lasting(health: GetHealthResponse): unknown {
  const momentary = { uptimeSeconds: 0, checkedAt: "", checkDurationMs: 0 };
  const dependencies = health.dependencies.map((dependency) => {
    const poolInfo = { maxConnections: dependency.config?.poolInfo?.maxConnections };
    const config = { ...dependency.config, poolInfo };
    return { ...dependency, config, lastCheck: "", responseTimeMs: 0 };
  });
  return { ...health, ...momentary, dependencies };
}

async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const decoder = new TextDecoder();
  assert.ok(success, `${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
