import { createInterface } from "node:readline";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

/** Finalizers of one collection release what only the next one frees. */
const COLLECTIONS = 4;
/** Between two collections: finalizers run as tasks of the event loop. */
const PAUSE_MS = 10;

/**
 * Answers each line on standard input by a record of what this process holds on to, with the line as
 * its event, and resolves at the end of standard input. The process must run with `--expose-gc`.
 *
 * @param counts What else belongs into a record; asked after the garbage collection.
 */
export async function answerUsage(counts: () => Readonly<Record<string, number>>): Promise<void> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("The server must run with --expose-gc");
  for await (const event of createInterface({ input: process.stdin })) {
    for (let time = 0; time < COLLECTIONS; time++) {
      gc();
      await delay(PAUSE_MS);
    }
    const { heapUsed, rss } = process.memoryUsage();
    console.log(JSON.stringify({ event, heapUsed, rss, ...counts() }));
  }
}
