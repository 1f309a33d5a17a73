import { address } from "../values/network.ts";
import type { Setting } from "./setting.ts";

/** Where metrics are served. */
export const metricsSettings = {
  METRICS_ADDR: {
    meaning:
      "Address of its own for `/metrics`, in cleartext, so that metrics need not be public; " +
      "port 0 takes any free one. Unset, metrics are on the main port.",
    type: address,
    example: "127.0.0.1:9464",
  },
} satisfies Record<string, Setting>;
