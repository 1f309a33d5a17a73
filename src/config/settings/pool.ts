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
  DB_MAX_IDLE_CONNECTIONS: {
    meaning: "Most connections that stay open without work. " +
      "The default is DB_MAX_CONNECTIONS if that is smaller.",
    type: wholeNumber(0, 10_000, "connections"),
    default: "5",
    starter: true,
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
  DB_RETRY_INITIAL_DELAY: {
    meaning: "Wait before the first retry of a failed connect; it doubles with each one. " +
      "The default is DB_RETRY_MAX_DELAY if that is smaller.",
    type: seconds(),
    default: "0.2",
  },
  DB_RETRY_MAX_DELAY: {
    meaning: "Longest wait between two retries.",
    type: seconds(),
    default: "10",
  },
  DB_MIGRATE_ON_START: {
    meaning: "Whether to apply schema migrations on start.",
    type: boolean,
    default: "false",
  },
} satisfies Record<string, Setting>;
