/// <reference lib="dom" />
import uPlot from "uplot";
import type { Sample, Samples } from "../samples.ts";

/** One line of a {@linkcode TimeChart}. */
export interface Line {
  readonly field: keyof Sample;
  readonly label: string;
  /** Custom property of style.css, such as `--in-use`. */
  readonly color: string;
  /** Distinguishes it without its color, and does not hide the line below. */
  readonly isDashed?: boolean;
}

/** Lines and scale of a {@linkcode TimeChart}. */
export interface TimeChartOptions {
  readonly lines: readonly Line[];
  readonly heightPx: number;
  /** A sparkline has no axes. */
  readonly hasAxes: boolean;
  /** Minimum of the upper end of the scale, so that noise does not look significant. */
  readonly leastMax: number;
}

/** Minimum time between two labels, in seconds; shorter intervals would repeat them. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300];

/** A chart of samples over time. Adapts to its width, and to light and dark mode. */
export class TimeChart {
  readonly #place: HTMLElement;
  readonly #options: TimeChartOptions;
  readonly #resizes = new ResizeObserver(() => this.#fit());
  readonly #removed = new AbortController();
  #chart: uPlot | undefined;
  #data: uPlot.AlignedData;

  constructor(place: HTMLElement, options: TimeChartOptions) {
    this.#place = place;
    this.#options = options;
    this.#data = [[], ...options.lines.map(() => [])];
    place.setAttribute("role", "img");
    this.#resizes.observe(place);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      const { signal } = this.#removed;
      matchMedia(query).addEventListener("change", () => this.#draw(), { signal });
    }
  }

  /** @param summary Description of the chart for screen readers. */
  show(samples: Samples, summary: string): void {
    const [times = [], ...values] = samples.columns([
      "time",
      ...this.#options.lines.map(({ field }) => field),
    ]);
    this.#data = [times.map(Number), ...values];
    this.#place.setAttribute("aria-label", summary);
    if (this.#chart === undefined) this.#draw();
    else this.#chart.setData(this.#data);
  }

  /** Removes listeners and the chart. */
  remove(): void {
    this.#removed.abort();
    this.#resizes.disconnect();
    this.#chart?.destroy();
  }

  #fit(): void {
    const width = this.#place.clientWidth;
    if (this.#chart !== undefined && width > 0 && width !== this.#chart.width) {
      this.#chart.setSize({ width, height: this.#options.heightPx });
    }
  }

  #draw(): void {
    const { lines, heightPx: height, hasAxes, leastMax } = this.#options;
    const style = getComputedStyle(this.#place);
    const color = (name: string) => style.getPropertyValue(name);
    const axis: uPlot.Axis = {
      show: hasAxes,
      stroke: color("--quiet"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { stroke: color("--line"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    this.#chart?.destroy();
    this.#chart = new uPlot(
      {
        width: this.#place.clientWidth,
        height,
        scales: { y: { range: (_, __, max) => [0, Math.max(leastMax, (max ?? 0) * 1.1)] } },
        axes: [
          { ...axis, space: 90, incrs: TIME_STEPS, values: (_, times) => times.map(timeOfDay) },
          { ...axis, size: 40 },
        ],
        legend: { show: hasAxes, live: false },
        cursor: { show: false },
        series: [
          {},
          ...lines.map(({ label, color: name, isDashed = false }) => ({
            label,
            stroke: color(name),
            width: 2,
            dash: isDashed ? [6, 6] : [],
            points: { show: false },
          })),
        ],
      },
      this.#data,
      this.#place,
    );
  }
}

function timeOfDay(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString();
}
