import { HealthRegistry, type HealthRegistryOptions } from "../../../src/health/registry.ts";
import { ManualClock } from "./manual_clock.ts";
import { ScriptedChecker } from "./scripted_checker.ts";

/** A registry of a critical and another dependency, on a clock of the test's. */
export function setUp(options: Partial<HealthRegistryOptions> = {}) {
  const clock = new ManualClock();
  const ledger = new ScriptedChecker("ledger", true, clock);
  const rates = new ScriptedChecker("rates", false, clock);
  const registry = new HealthRegistry({
    checkers: [ledger, rates],
    checkIntervalMs: 10_000,
    clock,
    random: () => 0.5,
    ...options,
  });
  return { clock, ledger, rates, registry };
}
