import process from "node:process";
import { createInterface } from "node:readline";

/**
 * Asks on the terminal and reads one line as the answer; the end of the input means no. The input
 * may be a pipe, as in `yes | deno task …`.
 *
 * @throws The reason of the signal.
 */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  console.log(`${question} [y/N]`);
  const lines = createInterface({ input: process.stdin });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  lines.once("line", resolve);
  lines.once("close", () => resolve(""));
  try {
    return /^y(es)?$/i.test((await promise).trim());
  } finally {
    signal.removeEventListener("abort", onAbort);
    lines.close();
  }
}
