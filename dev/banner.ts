import type { ServerConfig } from "../src/config/mod.ts";
import type { ConnectionInfo } from "./postgres/server.ts";

const CALL = "treasury.v1.Health/GetHealth";
const BUF = "npx -y @bufbuild/buf@1.74.0";

/** Bind addresses that a client on this machine can reach as localhost. */
const LOCAL = new Set(["0.0.0.0", "127.0.0.1", "::", "::1", "localhost"]);

/** Returns the URL of the service for the developer. */
export function serviceUrl({ host, port, tls }: ServerConfig): string {
  const name = LOCAL.has(host) ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "http" : "https"}://${name}:${port}`;
}

/** Returns what the developer needs to know once the service is up. Contains no password. */
export function banner(
  url: string,
  database:
    | {
      readonly connection: ConnectionInfo;
      readonly passwordFile: string;
      readonly settingsFile: string;
      readonly logFile: string;
    }
    | undefined,
): string {
  const rows: [string, string][] = [
    ["status page", `${url}/`],
    ["curl", `curl -s ${url}/${CALL} -H 'content-type: application/json' -d '{}'`],
    ["buf curl", `${BUF} curl --protocol grpc ${http2Flag(url)}${url}/${CALL}`],
  ];
  if (database !== undefined) {
    const { host, port, user, database: name } = database.connection;
    rows.push(
      ["psql", `PGPASSFILE=${database.passwordFile} psql -h ${host} -p ${port} -U ${user} ${name}`],
      ["tasks", `deno task --env-file=${database.settingsFile} db:status`],
      ["database log", database.logFile],
    );
  }
  const lines = rows.map(([label, value]) => `  ${label.padEnd(14)}${value}`);
  return ["", "Treasury Service is up. Ctrl-C stops it.", "", ...lines, ""].join("\n");
}

/** Without TLS the protocol is not negotiated, so curl must be told to use HTTP/2. */
function http2Flag(url: string): string {
  return url.startsWith("http:") ? "--http2-prior-knowledge " : "";
}
