import assert from "node:assert/strict";
import { get, post, type RawResponse, RawSocket } from "../support/raw_socket.ts";
import { startServer } from "../support/server.ts";

const PATH = "/treasury.v1.Health/GetHealth";
const ORIGIN = "https://app.example.com";
const CONNECT_HEADERS = ["connect-protocol-version", "connect-timeout-ms", "content-type"];
const GRPC_WEB_HEADERS = ["grpc-timeout", "x-grpc-web", "x-user-agent"];

// On a raw socket, because fetch does not show every header to its caller.
async function ask(allowed: readonly string[], request: string): Promise<RawResponse> {
  await using server = await startServer({ corsAllowedOrigins: allowed });
  await using socket = await RawSocket.connect(server.port);
  socket.write(request);
  return await socket.readResponse();
}

const call = (origin: string) => post(PATH, "{}", { Origin: origin });
const preflight = (origin: string) =>
  get(PATH, {
    Origin: origin,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,x-grpc-web",
  }).replace("GET", "OPTIONS");

const corsHeaders = ({ header }: RawResponse) =>
  [...header.keys()].filter((name) => name.startsWith("access-control-"));
const list = ({ header }: RawResponse, name: string) =>
  (header.get(name) ?? "").split(",").map((each) => each.trim().toLowerCase());

Deno.test("CORS: off by default", async () => {
  assert.deepEqual(corsHeaders(await ask([], call(ORIGIN))), []);
  const refused = await ask([], preflight(ORIGIN));
  assert.equal(refused.status, 405);
  assert.deepEqual(corsHeaders(refused), []);
});

Deno.test("CORS: a preflight allows what Connect and gRPC-Web send", async () => {
  const response = await ask([ORIGIN], preflight(ORIGIN));
  assert.equal(response.status, 204);
  assert.equal(response.header.get("access-control-allow-origin"), ORIGIN);
  assert.equal(response.header.get("vary"), "Origin");
  assert.ok(list(response, "access-control-allow-methods").includes("post"));
  assert.ok(list(response, "access-control-allow-methods").includes("get"));
  const allowed = list(response, "access-control-allow-headers");
  for (const name of [...CONNECT_HEADERS, ...GRPC_WEB_HEADERS]) assert.ok(allowed.includes(name));
  assert.ok(Number(response.header.get("access-control-max-age")) > 0);
  assert.equal(response.header.get("access-control-allow-credentials"), undefined);
});

Deno.test("CORS: a response lets the page read it, and its gRPC-Web status", async () => {
  const response = await ask(["https://other.example.com", ORIGIN], call(ORIGIN));
  assert.equal(response.status, 200);
  assert.equal(response.header.get("access-control-allow-origin"), ORIGIN);
  assert.ok(list(response, "vary").includes("origin"));
  const exposed = list(response, "access-control-expose-headers");
  for (const name of ["grpc-status", "grpc-message"]) assert.ok(exposed.includes(name));
});

Deno.test("CORS: errors can be read by the page, too", async () => {
  const response = await ask([ORIGIN], post("/missing", "{}", { Origin: ORIGIN }));
  assert.equal(response.status, 404);
  assert.equal(response.header.get("access-control-allow-origin"), ORIGIN);
});

Deno.test("CORS: another origin gets no permission", async () => {
  for (const origin of ["https://evil.example.com", `${ORIGIN}.evil.com`, "null"]) {
    for (const request of [call(origin), preflight(origin)]) {
      const response = await ask([ORIGIN], request);
      assert.deepEqual(corsHeaders(response), []);
      assert.ok(list(response, "vary").includes("origin"));
    }
  }
});

Deno.test("CORS: * allows every origin by name", async () => {
  for (const request of [call(ORIGIN), preflight(ORIGIN)]) {
    const response = await ask(["*"], request);
    assert.equal(response.header.get("access-control-allow-origin"), ORIGIN);
    assert.ok(list(response, "vary").includes("origin"));
  }
});

Deno.test("CORS: an OPTIONS request that is no preflight is an ordinary request", async () => {
  const options = get("/livez", { Origin: ORIGIN }).replace("GET", "OPTIONS");
  assert.equal((await ask([ORIGIN], options)).status, 405);
});
