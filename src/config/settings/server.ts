import { host, origins } from "../values/network.ts";
import { filePath, oneOf, seconds, wholeNumber } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** The listening port and its limits. */
export const serverSettings = {
  SERVER_HOST: {
    meaning: "Address to listen on.",
    type: host,
    default: "0.0.0.0",
  },
  SERVER_PORT: {
    meaning:
      "Port to listen on; 0 takes any free one. Unset, it is taken from PORT, which Cloud Run, Heroku and others set.",
    type: wholeNumber(0, 65_535),
    default: "8080",
    fallback: "PORT",
  },
  TLS_CERT_FILE: {
    meaning:
      "Certificate chain of this server, which turns TLS on. Needs TLS_KEY_FILE. The files of TLS_* are read again when they change.",
    type: filePath("PEM certificates, this server's first"),
    example: "/etc/treasury/server.pem",
  },
  TLS_KEY_FILE: {
    meaning: "Private key of the certificate.",
    type: filePath("an unencrypted PEM key"),
    example: "/etc/treasury/server-key.pem",
  },
  TLS_CLIENT_CA_FILE: {
    meaning:
      "Authorities that sign the certificates of clients. Set, clients must have one (mutual TLS). Needs TLS_CERT_FILE.",
    type: filePath("PEM certificates"),
    example: "/etc/treasury/client-ca.pem",
  },
  TLS_CLIENT_AUTH: {
    meaning:
      "Who must have a certificate of TLS_CLIENT_CA_FILE: everybody, or everybody but probes (`/livez`, `/readyz`, `/metrics` and `grpc.health.v1.Health/Check`). One that is not valid is refused anyhow.",
    type: oneOf("require", "require-except-probes"),
    default: "require",
  },
  CORS_ALLOWED_ORIGINS: {
    meaning: "Web pages whose scripts may call this service; unset, none may.",
    type: origins,
    example: "https://app.example.com,http://localhost:5173",
    confidential: true,
  },
  SERVER_MAX_REQUEST_BYTES: {
    meaning: "Largest request message.",
    type: wholeNumber(1, 1_073_741_824, "bytes"),
    default: "65536",
  },
  SERVER_MAX_HEADER_BYTES: {
    meaning: "Largest set of request headers.",
    type: wholeNumber(1024, 1_048_576, "bytes"),
    default: "16384",
  },
  SERVER_MAX_CONCURRENT_STREAMS: {
    meaning: "Most requests at once on one HTTP/2 connection.",
    type: wholeNumber(1, 1_000_000, "streams"),
    default: "100",
  },
  SERVER_MAX_CONCURRENT_CALLS: {
    meaning: "Most calls in progress in the whole process, streams included. " +
      "A call beyond it is answered at once: UNAVAILABLE, or 503 with Retry-After. " +
      "There is always room for `/livez`, `/readyz`, `/metrics` and `grpc.health.v1.Health/Check`.",
    type: wholeNumber(1, 1_000_000, "calls"),
    default: "1000",
  },
  SERVER_MAX_CONNECTIONS: {
    meaning:
      "Most client connections at once; a few more are taken for a moment, for probes only. Keep it below the limit of open files (ulimit -n): a Deno that has no file left accepts no connection any more.",
    type: wholeNumber(1, 1_000_000, "connections"),
    default: "10000",
  },
  SERVER_HEADER_TIMEOUT: {
    meaning: "Time for a client to send its first bytes and the headers of each request.",
    type: seconds(),
    default: "10",
  },
  SERVER_REQUEST_TIMEOUT: {
    meaning: "Time for a client to send a whole request; for a stream of requests, each silence.",
    type: seconds(),
    default: "30",
  },
  SERVER_IDLE_TIMEOUT: {
    meaning: "Time that a connection without a request stays open, " +
      "and that an answer waits for a client that does not take it.",
    type: seconds(),
    default: "120",
  },
  SHUTDOWN_TIMEOUT: {
    meaning: "Time for requests in flight to finish on shutdown.",
    type: seconds("do not wait"),
    default: "25",
  },
} satisfies Record<string, Setting>;
