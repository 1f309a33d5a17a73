import process from "node:process";
import { getHeapStatistics } from "node:v8";
import type { Registry } from "prom-client";
import type { RuntimeSafety } from "../../runtime.ts";
import { DurationHistogram } from "./duration_histogram.ts";
import { snapshotCounter, snapshotGauge } from "./snapshot.ts";

/** Version of this build, for the build info metric. */
export interface BuildInfo {
  readonly version: string;
  /** Whether the Deno version is known to be safe. */
  readonly runtime: RuntimeSafety;
}

/** Sampling interval of the event loop delay, in milliseconds. */
const DELAY_SAMPLE_MS = 100;

const DELAY_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/**
 * Adds metrics of CPU, memory, event loop and build. Dispose the result to stop the sampling.
 *
 * The default metrics of prom-client do not work here: they read /proc, which the permissions of
 * the service forbid, and report 0 for memory and open files. On Deno, `monitorEventLoopDelay` does
 * not notice a blocked event loop, so the delay of a timer is measured instead.
 */
export function addProcessMetrics(registry: Registry, { version, runtime }: BuildInfo): Disposable {
  addProcessorMetrics(registry);
  addMemoryMetrics(registry);
  snapshotGauge(registry, {
    name: "process_start_time_seconds",
    help: "Start time of the process, in seconds since 1970.",
  }, (report) => report(performance.timeOrigin / 1000));
  snapshotGauge(registry, {
    name: "treasury_build_info",
    help: "Always 1; version and runtime are in the labels.",
    labels: ["version", "deno", "v8", "runtime"],
  }, (report) => report(1, { version, deno: Deno.version.deno, v8: Deno.version.v8, runtime }));
  return sampleEventLoop(registry);
}

function addProcessorMetrics(registry: Registry): void {
  const MICROSECONDS = 1e6;
  const counter = (name: string, help: string, read: (usage: NodeJS.CpuUsage) => number) =>
    snapshotCounter(
      registry,
      { name, help },
      (report) => report(read(process.cpuUsage()) / MICROSECONDS),
    );
  const inUser = "User CPU time of the process.";
  const inSystem = "System CPU time of the process.";
  const inBoth = "Total CPU time of the process.";
  counter("process_cpu_user_seconds_total", inUser, ({ user }) => user);
  counter("process_cpu_system_seconds_total", inSystem, ({ system }) => system);
  counter("process_cpu_seconds_total", inBoth, ({ user, system }) => user + system);
}

function addMemoryMetrics(registry: Registry): void {
  const gauge = (name: string, help: string, read: () => number) =>
    snapshotGauge(registry, { name, help }, (report) => report(read()));
  gauge("process_resident_memory_bytes", "Resident memory.", () => Deno.memoryUsage().rss);
  gauge("deno_heap_used_bytes", "JavaScript heap in use.", () => Deno.memoryUsage().heapUsed);
  gauge("deno_heap_total_bytes", "JavaScript heap allocated.", () => Deno.memoryUsage().heapTotal);
  gauge(
    "deno_heap_limit_bytes",
    "Maximum size of the JavaScript heap.",
    () => getHeapStatistics().heap_size_limit,
  );
  gauge(
    "deno_external_memory_bytes",
    "Memory outside of the heap that is held by JavaScript objects.",
    () => Deno.memoryUsage().external,
  );
}

function sampleEventLoop(registry: Registry): Disposable {
  const delay = new DurationHistogram({
    name: "deno_event_loop_delay_seconds",
    help: `Delay of a timer of ${DELAY_SAMPLE_MS} ms.`,
    labels: [],
    buckets: DELAY_BUCKETS,
    registry,
  }).child();
  let expectedAt = performance.now() + DELAY_SAMPLE_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    delay.observe(Math.max(0, now - expectedAt));
    expectedAt = now + DELAY_SAMPLE_MS;
  }, DELAY_SAMPLE_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
