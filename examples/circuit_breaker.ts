/**
 * The circuit breaker as a library, around any operation: three consecutive failures open it, and
 * then calls fail immediately until a probe is allowed.
 *
 * `deno run -A examples/circuit_breaker.ts`
 */
import { CircuitBreaker, CircuitOpenError } from "@treasury-service/kit/database/circuit_breaker";

const breaker = new CircuitBreaker({ consecutiveFailureThreshold: 3, initialOpenMs: 30_000 });
breaker.onTransition(({ from, to, reason }) => console.log(`${from} to ${to}: ${reason}`));

for (let call = 1; call <= 5; call++) {
  try {
    await breaker.execute(() => Deno.connect({ hostname: "127.0.0.1", port: 1 }));
  } catch (error) {
    const isRejected = error instanceof CircuitOpenError;
    console.log(`call ${call}: ${isRejected ? "rejected by the circuit breaker" : "failed"}`);
  }
}
const { state, rejectedCount } = breaker.snapshot();
console.log({ state, rejectedCount });
