import type { DatabaseManager } from "./database/mod.ts";
import type { Logger } from "./log/mod.ts";

/** Not SIGUSR1, with which runtimes start a debugger. Windows has neither. */
const SIGNAL: Deno.Signal | undefined = Deno.build.os === "windows" ? undefined : "SIGUSR2";

/**
 * Lets an operator stop the database access of a running service with SIGUSR2, and resume it with
 * the same signal. Until disposal, SIGUSR2 does not terminate the process. This is no security
 * risk: anyone who may send a signal may also kill the process.
 */
export function stopUseOnSignal(
  { pools }: Pick<DatabaseManager, "pools">,
  logger: Logger,
): Disposable {
  if (SIGNAL === undefined) return { [Symbol.dispose]: () => {} };
  // The primary is stopped last and resumed first, so that only its own change is reported.
  const circuits = [...pools.values()].map(({ circuit }) => circuit);
  const onSignal = () => {
    if (circuits.some(isForced)) {
      for (const circuit of circuits) circuit.reset();
      const fields = { event: "database.use_allowed", signal: SIGNAL };
      logger.warn(fields, `Database access resumed by ${SIGNAL}`);
    } else {
      for (const circuit of circuits.toReversed()) circuit.forceOpen(`by ${SIGNAL}`);
      const fields = { event: "database.use_stopped", signal: SIGNAL };
      logger.warn(
        fields,
        `Database access stopped by ${SIGNAL}; send ${SIGNAL} again to resume it`,
      );
    }
  };
  Deno.addSignalListener(SIGNAL, onSignal);
  return { [Symbol.dispose]: () => Deno.removeSignalListener(SIGNAL, onSignal) };
}

type Circuit = DatabaseManager["circuit"];

function isForced(circuit: Circuit): boolean {
  return circuit.state === "open" && circuit.snapshot().lastOpening?.reason === "forced";
}
