/// <reference lib="dom" />
import type { ConnectionPoolInfo } from "../../gen/treasury/v1/health_pb.ts";
import type { Samples } from "../samples.ts";
import { field, say } from "./elements.ts";
import { TimeChart } from "./time_chart.ts";

/** Current and recent use of the connection pool. */
export class PoolGauge {
  readonly #root: HTMLElement;
  readonly #gauge: HTMLElement;
  readonly #chart: TimeChart;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#gauge = field(root, "gauge");
    this.#chart = new TimeChart(field(root, "pool-chart"), {
      lines: [
        { field: "inUse", label: "In use", color: "--in-use" },
        { field: "idle", label: "Idle", color: "--idle" },
        { field: "waiting", label: "Waiting", color: "--waiting", isDashed: true },
      ],
      heightPx: 160,
      hasAxes: true,
      leastMax: 5,
    });
  }

  show(pool: ConnectionPoolInfo, samples: Samples): void {
    const { maxConnections: max, activeConnections: inUse, idleConnections: idle, waiting } = pool;
    const words = `${inUse} in use, ${idle} idle, maximum ${max}; ${waiting} waiting`;
    this.#gauge.setAttribute("aria-valuemax", String(max));
    this.#gauge.setAttribute("aria-valuenow", String(inUse));
    this.#gauge.setAttribute("aria-valuetext", words);
    this.#gauge.setAttribute("aria-label", "Connections in use");
    this.#fill("in-use", inUse / max);
    this.#fill("idle", idle / max);
    say(field(this.#root, "pool-words"), words);
    this.#chart.show(samples, `Connections since this page was opened. Now: ${words}`);
  }

  remove(): void {
    this.#chart.remove();
  }

  #fill(name: string, part: number): void {
    field(this.#root, name).style.width = `${100 * (Number.isFinite(part) ? part : 0)}%`;
  }
}
