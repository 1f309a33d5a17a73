import { crowd } from "../../support/crowd.ts";
import { departures, type Ports } from "./departures.ts";

const CLIENTS_AT_ONCE = 8;

/**
 * All departures, so many times each, mixed: a few clients are there at any time.
 *
 * @throws {Error} with the name of the first departure that failed
 */
export async function churnRound(server: Ports, repetitions: number): Promise<void> {
  const all = Array.from({ length: repetitions }, () => [...departures()]).flat();
  const visits = all.map(([name, departure]) => async () => {
    try {
      await departure(server);
    } catch (cause) {
      throw new Error(`${name} failed`, { cause });
    }
  });
  await crowd(visits, CLIENTS_AT_ONCE);
}
