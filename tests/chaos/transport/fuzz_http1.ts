import { Buffer } from "node:buffer";
import { GET_HEALTH } from "./paths.ts";
import type { Random } from "./random.ts";

/** A valid client: some requests on one connection, line by line. */
export function http1Lines(random: Random): Buffer[] {
  const requests = Array.from({ length: 1 + random.below(3) }, () => random.pick(REQUESTS));
  return requests.join("").split(/(?<=\n)/).map((line) => Buffer.from(line, "latin1"));
}

const REQUESTS = [
  request("GET / HTTP/1.1"),
  request("GET /readyz HTTP/1.1"),
  request("HEAD /livez HTTP/1.1", ["accept: */*"]),
  request(`POST ${GET_HEALTH} HTTP/1.1`, ["content-type: application/json"], "{}"),
  request(`POST ${GET_HEALTH} HTTP/1.1`, ["content-type: application/grpc-web"], "\0\0\0\0\0"),
  request(`POST ${GET_HEALTH} HTTP/1.1`, ["content-type: application/grpc-web-text"], "AAAAAAA="),
  request(`GET ${GET_HEALTH}?encoding=json&message=%7B%7D&connect=v1 HTTP/1.1`),
  `POST ${GET_HEALTH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
  "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
];

const JSON_CALL = request(`POST ${GET_HEALTH} HTTP/1.1`, ["content-type: application/json"], "{}");

/** Requests that are wrong, or strange; by name. */
export const HTTP1_ATTACKS: Readonly<Record<string, (random: Random) => string | Buffer>> = {
  "random bytes": (random) => random.bytes(1 + random.below(4_000)),
  "zeros": () => Buffer.alloc(20_000),
  "half of the HTTP/2 preface": () => "PRI * HTTP/2.0\r\n\r\nSM",
  "almost the HTTP/2 preface": () => "PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n",
  "a preface and random bytes": (random) =>
    Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), random.bytes(500)]),
  "TLS": () => Buffer.from("16030100c8010000c40303", "hex"),
  "HTTP/0.9": () => "GET /\r\n\r\n",
  "HTTP/1.0": () => "GET /livez HTTP/1.0\r\n\r\n",
  "unknown version": (random) => request(`GET / HTTP/${random.below(10)}.${random.below(10)}`),
  "unknown method": () => request("BREW /coffee HTTP/1.1"),
  "CONNECT": () => request("CONNECT localhost:22 HTTP/1.1"),
  "target that is no URL": (random) =>
    request(
      `GET ${
        random.pick(["*", "//", "http://", "http://[", "?", "#", "\\", "%", "/%zz"])
      } HTTP/1.1`,
    ),
  "absolute target": () => request("GET http://other.example/livez HTTP/1.1"),
  "path tricks": (random) => request(`GET ${random.pick(PATHS)} HTTP/1.1`),
  "target of 100 KB": () => request(`GET /${"a".repeat(100_000)} HTTP/1.1`),
  "no host": () => "GET / HTTP/1.1\r\n\r\n",
  "a host that is none": (random) =>
    `GET / HTTP/1.1\r\nhost: ${random.pick(["", "a b", "[", "a:b", "@", "\x80"])}\r\n\r\n`,
  "two hosts": () => request("GET / HTTP/1.1", ["host: other"]),
  "two lengths": () => request(`POST ${GET_HEALTH} HTTP/1.1`, ["content-length: 9"], "{}"),
  "a length that is none": (random) =>
    `POST ${GET_HEALTH} HTTP/1.1\r\nhost: a\r\ncontent-length: ` +
    `${random.pick(["-1", "0x2", "2,2", "99999999999999999999", "a"])}\r\n\r\n{}`,
  "length and chunks": () =>
    request(
      `POST ${GET_HEALTH} HTTP/1.1`,
      ["transfer-encoding: chunked"],
      "0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    ),
  "chunk without a size": (random) =>
    `POST ${GET_HEALTH} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n` +
    `${random.pick(["g", "-1", "ffffffffffffffffff", "5;", "\n"])}\r\n{}\r\n`,
  "unknown transfer coding": () =>
    request(`POST ${GET_HEALTH} HTTP/1.1`, ["transfer-encoding: gzip"], "{}"),
  "bare line feeds": () => JSON_CALL.replaceAll("\r\n", "\n"),
  "bare carriage returns": () => JSON_CALL.replaceAll("\r\n", "\r"),
  "folded field": () => request("GET / HTTP/1.1", ["x-folded: a", " b"]),
  "field without a name": () => request("GET / HTTP/1.1", [": a"]),
  "zero in a field": () => request("GET / HTTP/1.1", ["x: a\0b"]),
  "10,000 fields": () =>
    request("GET / HTTP/1.1", Array.from({ length: 10_000 }, (_, n) => `x-${n}: 1`)),
  "field of 100 KB": () => request("GET / HTTP/1.1", [`x: ${"y".repeat(100_000)}`]),
  "upgrade": (random) =>
    request("GET / HTTP/1.1", [
      "connection: upgrade, http2-settings",
      `upgrade: ${random.pick(["h2c", "websocket", "x"])}`,
      "http2-settings: AAMAAABkAAQAAP__",
    ]),
  "100-continue": () => request(`POST ${GET_HEALTH} HTTP/1.1`, ["expect: 100-continue"], "{}"),
  "another expectation": () => request(`POST ${GET_HEALTH} HTTP/1.1`, ["expect: miracles"], "{}"),
  "body that does not end": () => JSON_CALL.replace("content-length: 2", "content-length: 2000"),
  "body of a megabyte": () =>
    request(
      `POST ${GET_HEALTH} HTTP/1.1`,
      ["content-type: application/json"],
      "x".repeat(1_000_000),
    ),
  "requests without end": () => JSON_CALL.repeat(500),
};

const PATHS = [
  "/../../etc/passwd",
  "/%2e%2e/%2e%2e/etc/passwd",
  "//livez",
  "/livez/",
  "/livez/../readyz",
  "/livez%00",
  "/LIVEZ",
  "/treasury.v1.Health",
  "/treasury.v1.Health/",
  "/__proto__/constructor",
  "/constructor",
  "/?a=%",
  "/;x",
  `${GET_HEALTH}?encoding=json&message=%`,
  `${GET_HEALTH}?encoding=proto&base64=1&message=!!!`,
  `${GET_HEALTH}?encoding=json&compression=gzip&base64=1&message=AAAA`,
];

function request(start: string, fields: string[] = [], body = ""): string {
  const length = body === "" ? [] : [`content-length: ${body.length}`];
  return `${[start, "host: localhost", ...length, ...fields].join("\r\n")}\r\n\r\n${body}`;
}
