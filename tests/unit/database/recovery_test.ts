import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/mod.ts";
import { CircuitBreaker } from "../../../src/database/circuit_breaker/mod.ts";
import { DatabaseError } from "../../../src/database/errors.ts";
import { silentLogger } from "../../../src/database/logger.ts";
import { Circuit } from "../../../src/database/managed_pool/circuit.ts";
import { Recovery } from "../../../src/database/managed_pool/recovery.ts";
import { ServerState } from "../../../src/database/managed_pool/server_state.ts";
import { FakeClock, settle } from "./fake_clock.ts";

const refused = new DatabaseError("CONNECTION_REFUSED");
const rejected = new DatabaseError("AUTHENTICATION_FAILED");
const { database: defaults } = loadConfig({ env: { DB_HOST: "127.0.0.1" } });

/**
 * A recovery whose attempts end as `outcomes` says, the last one again and again: an error is that of
 * the probe.
 *
 * @param onAttempt Called while each attempt is in progress.
 */
function recoveryTest(
  outcomes: readonly (DatabaseError | undefined)[],
  onAttempt: (test: { circuit: CircuitBreaker; recovery: Recovery }) => void = () => {},
) {
  const clock = new FakeClock();
  const context = {
    name: "primary",
    config: {
      ...defaults,
      retryInitialDelayMs: 100,
      retryMaxDelayMs: 400,
      authRetryDelayMs: 5000,
    },
    connectOptions: {},
    observer: undefined,
    logger: silentLogger,
    clock,
    random: () => 1,
  } as const;
  const databaseCircuit = new Circuit(context);
  const { breaker: circuit } = databaseCircuit;
  const startedAt = clock.now();
  const attempts: number[] = [];
  const steps: string[] = [];
  const outages: (string | undefined)[] = [];
  circuit.onTransition(({ to }) => {
    if (to === "open") outages.push(databaseCircuit.outage?.code);
  });
  const step = (name: string) => void steps.push(`${circuit.state}: ${name}`);
  const ensureSchema = () => Promise.resolve(step("ensureSchema"));
  const server = new ServerState(context.config, ensureSchema, {
    onRoleChange: () => {},
    onChange: () => step("ready"),
  });
  const recovery = new Recovery(context, {
    circuit: databaseCircuit,
    server,
    pinger: {
      findServer: () => {
        step("findServer");
        attempts.push(clock.now() - startedAt);
        const outcome = outcomes[Math.min(attempts.length, outcomes.length) - 1];
        onAttempt({ circuit, recovery });
        const role = { inRecovery: false, readOnly: false };
        return outcome === undefined ? Promise.resolve(role) : Promise.reject(outcome);
      },
    },
    connections: {
      lend: () => Promise.reject(new DatabaseError("ACQUIRE_TIMEOUT")),
      warmUp: () => Promise.resolve(step("warmUp")),
    },
    inspect: () => Promise.resolve(),
  });
  const pass = async (ms: number) => {
    await settle();
    clock.advance(ms);
    await settle();
  };
  return { clock, circuit, recovery, attempts, steps, outages, pass };
}

Deno.test("the first look is at once; a success ends the search and leaves no timer", async () => {
  const { clock, circuit, recovery, attempts, pass } = recoveryTest([undefined]);
  recovery.start();
  await pass(0);
  assert.deepEqual(attempts, [0]);
  assert.equal(circuit.state, "closed");
  assert.equal(clock.pending, 0);
});

Deno.test("an attempt takes its steps in order, and the circuit closes after the last", async () => {
  const { circuit, recovery, steps, pass } = recoveryTest([refused, undefined]);
  recovery.start();
  await pass(100);
  assert.deepEqual(steps, [
    "closed: findServer",
    "half-open: findServer",
    "half-open: ensureSchema",
    "half-open: warmUp",
    "half-open: ready",
  ]);
  assert.equal(circuit.state, "closed");
  circuit.tryAcquire()!.trip(refused);
  recovery.start();
  await pass(100);
  assert.deepEqual(steps.slice(5), ["half-open: findServer", "half-open: warmUp"]);
});

Deno.test("it looks when the circuit's growing open time is over, and its success closes it", async () => {
  const { circuit, recovery, attempts, outages, pass } = recoveryTest(
    [refused, refused, refused, refused, undefined],
  );
  recovery.start();
  for (const ms of [0, 99, 1, 199, 1, 400]) await pass(ms);
  assert.deepEqual(attempts, [0, 100, 300, 700]);
  assert.equal(circuit.state, "open");
  await pass(400);
  assert.deepEqual(attempts, [0, 100, 300, 700, 1100]);
  assert.equal(circuit.state, "closed");
  assert.deepEqual(new Set(outages), new Set(["CONNECTION_REFUSED"]), "known when it opens");
  await recovery.close();
});

Deno.test("a failure that cannot pass by itself is tried again rarely", async () => {
  const { recovery, attempts, pass } = recoveryTest([rejected, undefined]);
  recovery.start();
  await pass(0);
  await pass(5499);
  assert.deepEqual(attempts, [0]);
  await pass(1);
  assert.deepEqual(attempts, [0, 5500], "with 10% of jitter");
});

Deno.test("while an operator keeps the circuit open, it does not look", async () => {
  const { clock, circuit, recovery, attempts } = recoveryTest([refused]);
  circuit.forceOpen("maintenance");
  recovery.start();
  await settle();
  assert.equal(clock.pending, 0);
  assert.deepEqual(attempts, []);
});

Deno.test("a circuit that opens during a successful look is looked after", async () => {
  const { circuit, recovery, attempts, pass } = recoveryTest([undefined]);
  recovery.start();
  circuit.tryAcquire()!.trip(refused);
  await pass(100);
  assert.equal(attempts.length, 2);
  assert.equal(circuit.state, "closed");
});

Deno.test("a reset during a look does not end the search before anything was found", async () => {
  const { circuit, recovery, attempts, pass } = recoveryTest(
    [refused, refused, undefined],
    ({ circuit }) => {
      if (attempts.length === 1) circuit.reset();
    },
  );
  recovery.start();
  await pass(99);
  assert.deepEqual(attempts, [0, 0], "the failure of the first look was void");
  assert.equal(circuit.state, "open", "that of the second was not");
  await pass(1);
  assert.deepEqual(attempts, [0, 0, 100]);
  assert.equal(circuit.state, "closed");
});

Deno.test("a reset during the wait for the next look ends that wait", async () => {
  const { clock, circuit, recovery, attempts, pass } = recoveryTest([refused, undefined]);
  recovery.start();
  await pass(0);
  assert.deepEqual([attempts.length, circuit.state], [1, "open"]);
  circuit.reset();
  recovery.startNow();
  await settle();
  assert.deepEqual([attempts.length, circuit.state, clock.pending], [2, "closed", 0]);
});

Deno.test("a reset before a stopped search has ended begins it again", async () => {
  const { circuit, recovery, attempts, pass } = recoveryTest(
    [refused, undefined],
    ({ circuit, recovery }) => {
      if (attempts.length > 1) return;
      circuit.forceOpen("maintenance");
      recovery.stop();
      circuit.reset();
      recovery.start();
    },
  );
  recovery.start();
  await pass(0);
  assert.equal(attempts.length, 2);
  assert.equal(circuit.state, "closed");
});

Deno.test("stop and close end the search while it waits, and leave no timer", async () => {
  for (const end of ["stop", "close"] as const) {
    const { clock, circuit, recovery, pass } = recoveryTest([undefined, refused]);
    recovery.start();
    await pass(0);
    circuit.tryAcquire()!.trip(refused);
    recovery.start();
    await pass(0);
    assert.equal(clock.pending, 1);
    circuit.reset();
    await recovery[end]();
    await settle();
    assert.equal(clock.pending, 0);
  }
});

Deno.test("after a close nothing starts it again", async () => {
  const { circuit, recovery, attempts, clock } = recoveryTest([refused]);
  await recovery.close();
  circuit.tryAcquire()!.trip(refused);
  recovery.start();
  await settle();
  assert.deepEqual([attempts.length, clock.pending], [0, 0]);
});

Deno.test("while somebody else probes, it waits for time to pass, and then looks", async () => {
  const { clock, circuit, recovery, attempts, pass } = recoveryTest([undefined]);
  circuit.tryAcquire()!.trip(refused);
  clock.advance(100);
  const elsewhere = circuit.tryAcquire()!;
  let asked = 0;
  circuit.tryAcquire = () => {
    // Gives up the probe in the end, or a loop without a wait would hang this test for ever.
    if (++asked > 100) elsewhere.ignore();
    return CircuitBreaker.prototype.tryAcquire.call(circuit);
  };
  recovery.start();
  await pass(0);
  assert.deepEqual([asked, attempts.length, clock.pending], [1, 0, 1]);
  elsewhere.ignore();
  await pass(100);
  assert.deepEqual([asked, attempts.length, clock.pending], [2, 1, 0]);
  assert.equal(circuit.state, "closed");
});
