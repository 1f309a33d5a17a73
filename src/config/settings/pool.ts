import { boolean, seconds, wholeNumber } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** Size of the connection pool, lifetime of its connections, and reconnect delays. */
export const poolSettings = {
  DB_MAX_CONNECTIONS: {
    meaning: "Maximum number of open connections.",
    type: wholeNumber(1, 10_000, "connections"),
    default: "25",
    starter: true,
  },
  DB_SERVICE_INSTANCES: {
    meaning: "Maximum number of instances of this service that run at once. The service warns if " +
      "their connections together exceed what the server allows.",
    type: wholeNumber(1, 10_000, "instances"),
    default: "1",
    formerName: "DB_REPLICAS",
  },
  DB_MAX_IDLE_CONNECTIONS: {
    meaning: "Maximum number of idle connections. A connection beyond it is closed when it is " +
      "released and no caller waits; raise it for bursty load. The default is " +
      "DB_MAX_CONNECTIONS if that is smaller.",
    type: wholeNumber(0, 10_000, "connections"),
    default: "5",
    starter: true,
  },
  DB_MIN_IDLE_CONNECTIONS: {
    meaning: "Minimum number of idle connections to keep open; at most DB_MAX_IDLE_CONNECTIONS.",
    type: wholeNumber(0, 10_000, "connections"),
    default: "0",
  },
  DB_MAX_CONNECTING: {
    meaning: "Maximum number of connections being opened at the same time.",
    type: wholeNumber(1, 10_000, "connections"),
    default: "4",
  },
  DB_CONNECTION_MAX_LIFETIME: {
    meaning: "Maximum age of a connection. An older one is closed when it is idle.",
    type: seconds("unlimited"),
    default: "3600",
    starter: true,
  },
  DB_CONNECTION_MAX_IDLE_TIME: {
    meaning: "Maximum time a connection stays idle before it is closed.",
    type: seconds("unlimited"),
    default: "900",
    starter: true,
  },
  DB_ACQUIRE_TIMEOUT: {
    meaning: "Maximum time to wait for a connection from the pool.",
    type: seconds(),
    default: "5",
  },
  DB_ACQUIRE_QUEUE_LIMIT: {
    meaning: "Maximum number of callers that wait for a connection in use; further callers fail " +
      "at once with QUEUE_FULL. With 0, no caller waits.",
    type: wholeNumber(0, 1_000_000, "callers"),
    default: "1000",
  },
  DB_IDLE_CHECK_AFTER: {
    meaning: "Idle time after which a connection is tested before it is used again.",
    type: seconds("always"),
    default: "30",
  },
  DB_LEAK_WARNING_AFTER: {
    meaning: "Time in use after which a connection is logged as leaked, with the stack trace of " +
      "its acquire. Adds a small cost to every acquire.",
    type: seconds("off"),
    default: "0",
  },
  DB_CIRCUIT_FAILURE_THRESHOLD: {
    meaning: "Number of consecutive failed calls that open the circuit. A failed ping opens it " +
      "at once.",
    type: wholeNumber(1, 10_000, "calls"),
    default: "5",
  },
  DB_RETRY_INITIAL_DELAY: {
    meaning: "Upper bound of the first reconnect delay (full jitter). It doubles with each " +
      "failed attempt. The default is DB_RETRY_MAX_DELAY if that is smaller.",
    type: seconds(),
    default: "0.2",
  },
  DB_RETRY_MAX_DELAY: {
    meaning: "Upper bound of every reconnect delay. With the default, the service reconnects " +
      "within a second after the database is available again.",
    type: seconds(),
    default: "0.75",
  },
  DB_AUTH_RETRY_DELAY: {
    meaning: "Reconnect delay after an error that needs intervention, such as a rejected " +
      "password. DB_PASSWORD_FILE is read again at each attempt.",
    type: seconds(),
    default: "30",
  },
  DB_MIGRATE_ON_START: {
    meaning: "Whether to apply pending schema migrations on start.",
    type: boolean,
    default: "false",
  },
} satisfies Record<string, Setting>;
