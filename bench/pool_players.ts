import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { ConnectionInfo } from "../dev/postgres/server.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";
import {
  bareDriver,
  type Contender,
  manager,
  pgPool,
  type StatementKind,
} from "./pool_contenders.ts";
import { load, type Sample } from "./pool_load.ts";

/** In the order of the report; the others are compared with the first. */
export const CONTENDERS = { manager, bareDriver, pgPool };
export type ContenderName = keyof typeof CONTENDERS;

/** Parameters of a turn. */
export interface Turn {
  readonly statement: StatementKind;
  readonly callers: number;
  readonly seconds: number;
}

/** A contender that takes turns with others. */
export interface Player extends AsyncDisposable {
  readonly name: string;
  play(): Promise<Sample>;
}

/** Start data of an isolate. */
export interface IsolateData {
  readonly contender: ContenderName;
  readonly database: ConnectionInfo;
  readonly turn: Turn;
}

/** All players in this isolate, where they share what V8 has learned about the driver. */
export async function playersHere(server: TestPostgres, turn: Turn): Promise<Player[]> {
  const start = async (start: (typeof CONTENDERS)[ContenderName]) =>
    player(await start(server, turn.callers), turn);
  return await Promise.all(Object.values(CONTENDERS).map(start));
}

/** A contender in this isolate. */
export function player(contender: Contender, { statement, callers, seconds }: Turn): Player {
  return {
    name: contender.name,
    play: () => load(contender.run[statement], callers, seconds),
    [Symbol.asyncDispose]: () => contender[Symbol.asyncDispose](),
  };
}

/**
 * Each player in a separate isolate, so that compilation and garbage collection are independent.
 */
export async function playersApart({ database }: TestPostgres, turn: Turn): Promise<Player[]> {
  const names = Object.keys(CONTENDERS) as ContenderName[];
  return await Promise.all(names.map((contender) => isolate({ contender, database, turn })));
}

async function isolate(workerData: IsolateData): Promise<Player> {
  const worker = new Worker(new URL("./pool_isolate.ts", import.meta.url), { workerData });
  const [name] = await once(worker, "message");
  return {
    name,
    async play() {
      worker.postMessage("play");
      const [sample] = await once(worker, "message");
      return sample;
    },
    async [Symbol.asyncDispose]() {
      worker.postMessage("end");
      await once(worker, "message");
      await worker.terminate();
    },
  };
}
