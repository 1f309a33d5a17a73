import { oneOf } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** What is logged and how. */
export const loggingSettings = {
  LOG_LEVEL: {
    meaning: "Minimum level of the records that are logged.",
    type: oneOf("trace", "debug", "info", "warn", "error", "fatal"),
    default: "info",
  },
  LOG_FORMAT: {
    meaning: "`json`: one JSON object per line; `pretty`: human-readable.",
    type: oneOf("json", "pretty"),
    default: "json",
  },
} satisfies Record<string, Setting>;
