import { oneOf } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** What is logged and how. */
export const loggingSettings = {
  LOG_LEVEL: {
    meaning: "Least severe level that is logged.",
    type: oneOf("trace", "debug", "info", "warn", "error", "fatal"),
    default: "info",
  },
  LOG_FORMAT: {
    meaning: "`json`: one object a line; `pretty`: for people.",
    type: oneOf("json", "pretty"),
    default: "json",
  },
} satisfies Record<string, Setting>;
