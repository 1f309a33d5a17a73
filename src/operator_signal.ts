import type { DatabaseManager } from "./database/mod.ts";
import type { Logger } from "./log/mod.ts";

/** Not SIGUSR1, on which runtimes open a debugger. Windows has neither. */
const SIGNAL: Deno.Signal | undefined = Deno.build.os === "windows" ? undefined : "SIGUSR2";

/**
 * Lets the operator of a running service stop its use of the database by a signal, and give it back
 * by the same signal: each one undoes what is so. Until this is disposed, SIGUSR2 does not end the
 * process. Whoever may send a signal may as well kill, so it opens nothing to an attacker.
 */
export function stopUseOnSignal(
  { lanes }: Pick<DatabaseManager, "lanes">,
  logger: Logger,
): Disposable {
  if (SIGNAL === undefined) return { [Symbol.dispose]: () => {} };
  // The primary is stopped last and given back first: in between nothing is news but its own step.
  const circuits = [...lanes.values()].map(({ circuit }) => circuit);
  const onSignal = () => {
    if (circuits.some(isForced)) {
      for (const circuit of circuits) circuit.reset();
      const fields = { event: "database.use_allowed", signal: SIGNAL };
      logger.warn(fields, `${SIGNAL} gave the database back`);
    } else {
      for (const circuit of circuits.toReversed()) circuit.forceOpen(`by ${SIGNAL}`);
      const fields = { event: "database.use_stopped", signal: SIGNAL };
      logger.warn(fields, `${SIGNAL} stopped the use of the database, until it comes again`);
    }
  };
  Deno.addSignalListener(SIGNAL, onSignal);
  return { [Symbol.dispose]: () => Deno.removeSignalListener(SIGNAL, onSignal) };
}

type Circuit = DatabaseManager["circuit"];

function isForced(circuit: Circuit): boolean {
  return circuit.state === "open" && circuit.snapshot().lastOpening?.reason === "forced";
}
