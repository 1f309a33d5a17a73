import type { DatabaseObserver, PoolObserver } from "../../database/mod.ts";
import type { HealthObserver } from "../../health/mod.ts";
import type { RpcObserver } from "../../server/mod.ts";

/** Observers of the parts of the service. */
export interface Observers {
  readonly databaseObserver: DatabaseObserver;
  readonly healthObserver: HealthObserver;
  readonly rpcObserver: RpcObserver;
}

/** Combines two sets of observers; hooks that wrap a function nest `inner` within `outer`. */
export function combineObservers(outer: Observers, inner: Observers): Observers {
  return {
    databaseObserver: combineDatabaseObservers(outer.databaseObserver, inner.databaseObserver),
    healthObserver: combineHealth(outer.healthObserver, inner.healthObserver),
    rpcObserver: combineRpc(outer.rpcObserver, inner.rpcObserver),
  };
}

/** As {@linkcode combineObservers}, of one database. */
export function combineDatabaseObservers(
  outer: DatabaseObserver,
  inner: DatabaseObserver,
): DatabaseObserver {
  return {
    operation: (name, run) => outer.operation(name, () => inner.operation(name, run)),
    pool: (name) => combinePool(outer.pool(name), inner.pool(name)),
  };
}

function combinePool(a: PoolObserver, b: PoolObserver): PoolObserver {
  return {
    acquired: both(a.acquired, b.acquired),
    acquireFailed: both(a.acquireFailed, b.acquireFailed),
    released: both(a.released, b.released),
    opened: both(a.opened, b.opened),
    openFailed: both(a.openFailed, b.openFailed),
    certificateSeen: a.certificateSeen && b.certificateSeen
      ? both(a.certificateSeen, b.certificateSeen)
      : a.certificateSeen ?? b.certificateSeen,
    sending: combineSending(a.sending, b.sending),
  };
}

function combineSending(
  a: PoolObserver["sending"],
  b: PoolObserver["sending"],
): PoolObserver["sending"] {
  if (a === undefined || b === undefined) return a ?? b;
  return () => {
    const [endA, endB] = [a(), b()];
    return (statement) => {
      endA?.(statement);
      endB?.(statement);
    };
  };
}

function combineHealth(outer: HealthObserver, inner: HealthObserver): HealthObserver {
  return { check: (name, run) => outer.check(name, () => inner.check(name, run)) };
}

function combineRpc(outer: RpcObserver, inner: RpcObserver): RpcObserver {
  return {
    begin(call, field) {
      const [a, b] = [outer.begin(call, field), inner.begin(call, field)];
      const [runA, runB] = [a.run, b.run];
      return {
        run: runA && runB ? (handle) => runA(() => runB(handle)) : runA ?? runB,
        end: both(b.end, a.end),
      };
    },
  };
}

function both<Arguments extends unknown[]>(
  a: (...args: Arguments) => void,
  b: (...args: Arguments) => void,
): (...args: Arguments) => void {
  return (...args) => {
    a(...args);
    b(...args);
  };
}
