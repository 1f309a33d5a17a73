/**
 * A contender in a separate isolate: reports its name, then plays on request.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { TestDatabase } from "../tests/support/postgres_database.ts";
import { CONTENDERS, type IsolateData, player } from "./pool_players.ts";

const { contender, database, turn }: IsolateData = workerData;

class Server extends TestDatabase {
  override readonly database = database;
  override readonly superuser = database;
  override [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const self = player(await CONTENDERS[contender](new Server(), turn.callers), turn);
parentPort!.on("message", async (message) => {
  if (message === "play") return parentPort!.postMessage(await self.play());
  await self[Symbol.asyncDispose]();
  parentPort!.postMessage("ended");
});
parentPort!.postMessage(self.name);
