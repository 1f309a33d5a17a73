#!/usr/bin/env -S deno run --no-config --no-lock --no-remote --no-prompt --allow-env=SERVER_PORT,PORT,TLS_CERT_FILE --allow-net=127.0.0.1
/**
 * Asks the service in this container how it is: `healthcheck livez` or `healthcheck readyz`. Exits
 * with 0 when it answers 200, and prints the answer for `docker inspect`.
 *
 * @module
 */
import { get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { text } from "node:stream/consumers";

const TIMEOUT_MS = 4_000;

const [probe = "livez"] = Deno.args;
const port = Deno.env.get("SERVER_PORT") || Deno.env.get("PORT") || "8080";
const get = Deno.env.get("TLS_CERT_FILE") ? getHttps : getHttp;
const request = get({
  host: "127.0.0.1",
  port,
  path: `/${probe}`,
  signal: AbortSignal.timeout(TIMEOUT_MS),
  // The certificate is not for the loopback address, and nothing secret is sent there.
  rejectUnauthorized: false,
});
request.on("response", async (response) => {
  console.log(response.statusCode, (await text(response)).trim());
  Deno.exit(response.statusCode === 200 ? 0 : 1);
});
request.on("error", (error) => {
  console.log(error.message);
  Deno.exit(1);
});
