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
    meaning: "Port to listen on; 0 selects a free port. The default is PORT if that is set, as " +
      "on Cloud Run and Heroku.",
    type: wholeNumber(0, 65_535),
    default: "8080",
    fallback: "PORT",
  },
  TLS_CERT_FILE: {
    meaning: "Certificate chain of this server; enables TLS. Requires TLS_KEY_FILE. The TLS_* " +
      "files are reloaded when they change.",
    type: filePath("PEM certificates, this server's first"),
    example: "/etc/treasury/server.pem",
  },
  TLS_KEY_FILE: {
    meaning: "Private key of the certificate.",
    type: filePath("an unencrypted PEM key"),
    example: "/etc/treasury/server-key.pem",
  },
  TLS_CLIENT_CA_FILE: {
    meaning: "CA certificates that client certificates must be signed by; enables mutual TLS. " +
      "Requires TLS_CERT_FILE.",
    type: filePath("PEM certificates"),
    example: "/etc/treasury/client-ca.pem",
  },
  TLS_CLIENT_AUTH: {
    meaning: "Which clients need a certificate: all, or all except probes (`/livez`, `/readyz`, " +
      "`/metrics` and `grpc.health.v1.Health/Check`). An invalid certificate is always " +
      "rejected.",
    type: oneOf("require", "require-except-probes"),
    default: "require",
  },
  CORS_ALLOWED_ORIGINS: {
    meaning: "Origins of web pages that may call this service. Default: none.",
    type: origins,
    example: "https://app.example.com,http://localhost:5173",
    confidential: true,
  },
  SERVER_MAX_REQUEST_BYTES: {
    meaning: "Maximum size of a request message.",
    type: wholeNumber(1, 1_073_741_824, "bytes"),
    default: "65536",
  },
  SERVER_MAX_HEADER_BYTES: {
    meaning: "Maximum total size of the request headers.",
    type: wholeNumber(1024, 1_048_576, "bytes"),
    default: "16384",
  },
  SERVER_MAX_CONCURRENT_STREAMS: {
    meaning: "Maximum number of concurrent requests on one HTTP/2 connection.",
    type: wholeNumber(1, 1_000_000, "streams"),
    default: "100",
  },
  SERVER_MAX_CONCURRENT_CALLS: {
    meaning: "Maximum number of concurrent calls in the whole process, streams included. A call " +
      "beyond it fails at once with UNAVAILABLE, or 503 with Retry-After. Calls to " +
      "`/livez`, `/readyz`, `/metrics` and `grpc.health.v1.Health/Check` do not count.",
    type: wholeNumber(1, 1_000_000, "calls"),
    default: "1000",
  },
  SERVER_MAX_CONNECTIONS: {
    meaning: "Maximum number of client connections. A few more are accepted briefly, for probes " +
      "only. Keep it below the limit of open files (ulimit -n): without a free file " +
      "descriptor, Deno stops accepting connections.",
    type: wholeNumber(1, 1_000_000, "connections"),
    default: "10000",
  },
  SERVER_HEADER_TIMEOUT: {
    meaning: "Maximum time for a client to send its first bytes and the headers of each request.",
    type: seconds(),
    default: "10",
  },
  SERVER_REQUEST_TIMEOUT: {
    meaning: "Maximum time for a client to send a whole request; for a stream, between two " +
      "messages.",
    type: seconds(),
    default: "30",
  },
  SERVER_IDLE_TIMEOUT: {
    meaning: "Time after which a connection without a request is closed, and after which a " +
      "response that the client does not read is aborted.",
    type: seconds(),
    default: "120",
  },
  SHUTDOWN_TIMEOUT: {
    meaning: "Maximum time for requests in progress to finish on shutdown.",
    type: seconds("do not wait"),
    default: "25",
  },
} satisfies Record<string, Setting>;
