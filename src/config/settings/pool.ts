import { boolean, seconds, wholeNumber } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** How many connections there are, how long they live, and how a lost database is retried. */
export const poolSettings = {
  DB_MAX_CONNECTIONS: {
    meaning: "Most connections that may be open at once.",
    type: wholeNumber(1, 10_000, "connections"),
    default: "25",
    starter: true,
  },
  DB_REPLICAS: {
    meaning: "Most instances of this service that run at once. Their connections together are " +
      "compared with what the server allows, and a warning tells when they do not fit.",
    type: wholeNumber(1, 10_000, "instances"),
    default: "1",
  },
  DB_MAX_IDLE_CONNECTIONS: {
    meaning: "Most connections that stay open without work. One more is closed as soon as it is " +
      "released while nobody waits: under a load that comes in bursts, raise it. " +
      "The default is DB_MAX_CONNECTIONS if that is smaller.",
    type: wholeNumber(0, 10_000, "connections"),
    default: "5",
    starter: true,
  },
  DB_MIN_IDLE_CONNECTIONS: {
    meaning: "Connections that are kept open without work; at most DB_MAX_IDLE_CONNECTIONS.",
    type: wholeNumber(0, 10_000, "connections"),
    default: "0",
  },
  DB_MAX_CONNECTING: {
    meaning: "Most connections that are opened at the same time.",
    type: wholeNumber(1, 10_000, "connections"),
    default: "4",
  },
  DB_CONNECTION_MAX_LIFETIME: {
    meaning: "Age at which a connection is closed.",
    type: seconds("unlimited"),
    default: "3600",
    starter: true,
  },
  DB_CONNECTION_MAX_IDLE_TIME: {
    meaning: "Time without work after which a connection is closed.",
    type: seconds("unlimited"),
    default: "900",
    starter: true,
  },
  DB_ACQUIRE_TIMEOUT: {
    meaning: "Longest wait for a connection from the pool.",
    type: seconds(),
    default: "5",
  },
  DB_ACQUIRE_QUEUE_LIMIT: {
    meaning: "Most callers that wait for a connection that others use; more are turned away. " +
      "With 0 nobody waits for another's connection.",
    type: wholeNumber(0, 1_000_000, "callers"),
    default: "1000",
  },
  DB_IDLE_CHECK_AFTER: {
    meaning: "Time without work after which a connection is checked before its next use.",
    type: seconds("always"),
    default: "30",
  },
  DB_LEAK_WARNING_AFTER: {
    meaning: "Time in use after which a connection is logged as leaked, with the place in the " +
      "code that took it. Slows every use a little.",
    type: seconds("off"),
    default: "0",
  },
  DB_CIRCUIT_FAILURE_THRESHOLD: {
    meaning:
      "Calls in a row that must fail for the circuit to open. A failed ping opens it at once.",
    type: wholeNumber(1, 10_000, "calls"),
    default: "5",
  },
  DB_RETRY_INITIAL_DELAY: {
    meaning: "Longest wait before a lost database is looked for again, which is a random part of " +
      "it; it doubles with each failure. The default is DB_RETRY_MAX_DELAY if that is smaller.",
    type: seconds(),
    default: "0.2",
  },
  DB_RETRY_MAX_DELAY: {
    meaning: "Longest wait between two looks for a lost database. The default gives callers the " +
      "database within a second of its return.",
    type: seconds(),
    default: "0.75",
  },
  DB_AUTH_RETRY_DELAY: {
    meaning: "Wait after a failure that cannot pass by itself, such as a rejected password. " +
      "DB_PASSWORD_FILE is read again then.",
    type: seconds(),
    default: "30",
  },
  DB_MIGRATE_ON_START: {
    meaning: "Whether to apply schema migrations on start.",
    type: boolean,
    default: "false",
  },
} satisfies Record<string, Setting>;
