import { Counter, Gauge, type Registry } from "prom-client";

/** Name, help text and labels of a metric. */
export interface MetricOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[] | undefined;
}

/** Reports a value, with its label values. */
export type Report<Label extends string> = (
  value: number,
  labels?: Readonly<Record<Label, string>>,
) => void;

/**
 * A gauge that is read on every scrape and costs nothing in between. Label values that `read` does
 * not report have no series. `read` must not throw or reject.
 */
export function snapshotGauge<Label extends string = never>(
  registry: Registry,
  { name, help, labels = [] }: MetricOptions<Label>,
  read: (report: Report<Label>) => void | Promise<void>,
): void {
  new Gauge<Label>({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    collect() {
      this.reset();
      // Without labels, a reset sets 0.
      if (labels.length === 0) this.remove({});
      return read((value, labels) => {
        if (labels === undefined) this.set(value);
        else this.set(labels, value);
      });
    },
  });
}

/**
 * A counter that is read on every scrape, as {@linkcode snapshotGauge}. Its name ends with
 * `_total`.
 */
export function snapshotCounter<Label extends string = never>(
  registry: Registry,
  { name, help, labels = [] }: MetricOptions<Label>,
  read: (report: Report<Label>) => void,
): void {
  new Counter<Label>({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    collect() {
      this.reset();
      read((value, labels) => {
        if (labels === undefined) this.inc(value);
        else this.inc(labels, value);
      });
    },
  });
}

/** Reports 1 for the current state and 0 for the others, as a StateSet of OpenMetrics. */
export function reportStates<State extends string | number>(
  states: readonly State[],
  current: State | undefined,
  report: (value: number, state: State) => void,
): void {
  for (const state of states) report(Number(state === current), state);
}

/**
 * Converts a name to a label value: `half-open` and `idleTime` become `half_open` and `idle_time`.
 */
export function labelValue(name: string): string {
  return name.replaceAll("-", "_").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
