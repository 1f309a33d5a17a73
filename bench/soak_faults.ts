import type { FaultProxy } from "../tests/support/fault_proxy.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";

/** What a fault affects. */
export interface Scene {
  readonly server: TestPostgres;
  /** The network between the manager and the server. */
  readonly proxy: FaultProxy;
}

/** A temporary failure of the database. */
export interface Fault {
  readonly name: string;
  readonly begin: (scene: Scene) => Promise<void>;
  /** Absent if the fault is over immediately. */
  readonly end?: (scene: Scene) => Promise<void>;
}

export const FAULTS: readonly Fault[] = [
  {
    name: "restart",
    begin: ({ server }) => server.stop("fast"),
    end: ({ server }) => server.start(),
  },
  {
    name: "kill",
    begin: ({ server }) => server.kill(),
    end: ({ server }) => server.start(),
  },
  {
    name: "freeze",
    begin: ({ server }) => server.freeze(),
    end: ({ server }) => server.resume(),
  },
  {
    name: "cut",
    begin: ({ proxy }) => Promise.resolve(proxy.endAll("reset")),
  },
  {
    name: "partition",
    begin: async ({ proxy }) => {
      await proxy.setMode("black-hole");
      proxy.silence();
    },
    end: async ({ proxy }) => {
      proxy.endAll("reset");
      await proxy.setMode("pass");
    },
  },
];
