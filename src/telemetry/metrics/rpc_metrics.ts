import type { Registry } from "prom-client";
import type { RpcCall, RpcObserver } from "../../server/mod.ts";
import { DurationHistogram } from "./duration_histogram.ts";
import { snapshotGauge } from "./snapshot.ts";

/** Bucket bounds of streams, which have their own histogram because they can last for days. */
const STREAM_BUCKETS = [1, 10, 60, 300, 1_800, 3_600, 14_400, 86_400];

/**
 * Measures RPCs when their answer has been sent or abandoned, and counts those in progress.
 *
 * Source of the names: OpenTelemetry semantic conventions, "RPC metrics".
 */
export function observeRpcs(registry: Registry): RpcObserver {
  const labels = ["method", "code", "protocol"] as const;
  const calls = new DurationHistogram({
    name: "rpc_server_call_duration_seconds",
    help: "Duration of unary RPCs.",
    labels,
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registry,
  });
  const streams = new DurationHistogram({
    name: "rpc_server_stream_duration_seconds",
    help: "Duration of completed streaming RPCs.",
    labels,
    buckets: STREAM_BUCKETS,
    registry,
  });
  const running = new RunningCalls();
  snapshotGauge(registry, {
    name: "rpc_server_active_calls",
    help: "RPCs in progress, including streams.",
    labels: ["method", "protocol"],
  }, (report) => {
    for (const { call, count } of running) {
      report(count, { method: call.method, protocol: call.protocol });
    }
  });
  return {
    begin(call) {
      const startedAt = performance.now();
      const end = running.begin(call);
      return {
        end(code) {
          end();
          const durations = (call.isStream ? streams : calls).child(
            call.method,
            code,
            call.protocol,
          );
          durations.observe(performance.now() - startedAt);
        },
      };
    },
  };
}

/** Counts the calls in progress by method and protocol; a series stays at 0 after its last call. */
class RunningCalls {
  readonly #counts = new Map<string, { readonly call: RpcCall; count: number }>();

  /** Counts a call; the result must be called at its end. */
  begin(call: RpcCall): () => void {
    const key = `${call.protocol} ${call.method}`;
    let entry = this.#counts.get(key);
    if (entry === undefined) {
      entry = { call, count: 0 };
      this.#counts.set(key, entry);
    }
    entry.count++;
    return () => void entry.count--;
  }

  [Symbol.iterator]() {
    return this.#counts.values();
  }
}
