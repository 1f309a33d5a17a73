import { Counter, type Registry } from "prom-client";
import type { CircuitState, CircuitTransition, DatabaseManager } from "../../database/mod.ts";
import { labelValue, reportStates, snapshotCounter, snapshotGauge } from "./snapshot.ts";

const STATES: readonly CircuitState[] = ["closed", "open", "half-open"];

type Step = Pick<CircuitTransition, "from" | "to" | "reason">;

/** Transitions of every outage; they start at 0, so that the first one is an increase. */
const USUAL_STEPS: readonly Step[] = [
  { from: "closed", to: "open", reason: "tripped" },
  { from: "closed", to: "open", reason: "consecutiveFailures" },
  { from: "closed", to: "open", reason: "failureRate" },
  { from: "open", to: "half-open", reason: "openTimeOver" },
  { from: "half-open", to: "open", reason: "tripped" },
  { from: "half-open", to: "closed", reason: "probeSucceeded" },
];

/** State, transitions and rejections of the circuit breaker of each pool. */
export function addCircuitMetrics(
  registry: Registry,
  { pools }: Pick<DatabaseManager, "pools">,
): void {
  snapshotGauge(registry, {
    name: "treasury_database_circuit_state",
    help: "1 for the current state of the circuit breaker, 0 for the others.",
    labels: ["pool", "state"],
  }, (report) => {
    for (const [pool, { circuit }] of pools) {
      reportStates(STATES, circuit.state, (value, state) => {
        report(value, { pool, state: labelValue(state) });
      });
    }
  });
  snapshotCounter(registry, {
    name: "treasury_database_circuit_rejected_total",
    help: "Calls that the circuit breaker rejected.",
    labels: ["pool"],
  }, (report) => {
    for (const [pool, { circuit }] of pools) report(circuit.snapshot().rejectedCount, { pool });
  });

  const transitions = new Counter({
    name: "treasury_database_circuit_transitions_total",
    help: "State transitions of the circuit breaker, by reason.",
    labelNames: ["pool", "from", "to", "reason"],
    registers: [registry],
  });
  for (const [pool, { circuit }] of pools) {
    const count = ({ from, to, reason }: Step, times: number) => {
      const step = { from: labelValue(from), to: labelValue(to), reason: labelValue(reason) };
      transitions.inc({ pool, ...step }, times);
    };
    for (const step of USUAL_STEPS) count(step, 0);
    circuit.onTransition((step) => count(step, 1));
  }
}
