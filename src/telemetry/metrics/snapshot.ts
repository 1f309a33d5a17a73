import { Counter, Gauge, type Registry } from "prom-client";

/** Name, meaning and labels of a metric. */
export interface MetricOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[] | undefined;
}

/** Takes one value, with a value for each label. */
export type Report<Label extends string> = (
  value: number,
  labels?: Readonly<Record<Label, string>>,
) => void;

/**
 * A gauge that is read when somebody asks for the metrics, and costs nothing in between. What
 * `read` does not report is not shown. It must not throw or reject.
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
      // Without labels, a reset shows 0.
      if (labels.length === 0) this.remove({});
      return read((value, labels) => {
        if (labels === undefined) this.set(value);
        else this.set(labels, value);
      });
    },
  });
}

/** The same for a number that only grows. Its name ends with `_total`. */
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

/** Reports 1 for the state that is, and 0 for all others: the state set of OpenMetrics. */
export function reportStates<State extends string | number>(
  states: readonly State[],
  current: State | undefined,
  report: (value: number, state: State) => void,
): void {
  for (const state of states) report(Number(state === current), state);
}

/** `half-open` and `idleTime` as label values: `half_open`, `idle_time`. */
export function labelValue(name: string): string {
  return name.replaceAll("-", "_").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
