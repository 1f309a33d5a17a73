import { address } from "../values/network.ts";
import type { Setting } from "./setting.ts";

/** Where metrics are served. */
export const metricsSettings = {
  METRICS_ADDR: {
    meaning: "Separate cleartext address for `/metrics`, which keeps metrics private; port 0 " +
      "selects a free port. Default: metrics are served on the main port.",
    type: address,
    example: "127.0.0.1:9464",
  },
} satisfies Record<string, Setting>;
