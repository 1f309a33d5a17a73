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

/** In the order of the report; the first is compared with the others. */
export const CONTENDERS = { manager, bareDriver, pgPool };
export type ContenderName = keyof typeof CONTENDERS;

/** What a player does in each turn. */
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

/** What an isolate is told when it begins. */
export interface IsolateData {
  readonly contender: ContenderName;
  readonly database: ConnectionInfo;
  readonly turn: Turn;
}

/** All of them in this isolate, where they also share what V8 has learnt about the driver. */
export async function playersHere(server: TestPostgres, turn: Turn): Promise<Player[]> {
  const start = async (start: (typeof CONTENDERS)[ContenderName]) =>
    player(await start(server, turn.callers), turn);
  return await Promise.all(Object.values(CONTENDERS).map(start));
}

/** A contender of this isolate. */
export function player(contender: Contender, { statement, callers, seconds }: Turn): Player {
  return {
    name: contender.name,
    play: () => load(contender.run[statement], callers, seconds),
    [Symbol.asyncDispose]: () => contender[Symbol.asyncDispose](),
  };
}

/** Each in an isolate of its own: nothing is compiled for, or collected with, another one's code. */
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
