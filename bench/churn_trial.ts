import { churnRound } from "../tests/chaos/transport/churn.ts";
import { eventually } from "../tests/support/condition.ts";
import { type Death, deathOf } from "./connection_growth.ts";
import { type H2loadEnd, h2loadRound } from "./h2load_round.ts";
import type { Contender } from "./transport_contenders.ts";

export interface ChurnTrialOptions {
  /** Number of rounds for each server. */
  readonly rounds: number;
  /** Whether h2load is installed, for additional rounds. */
  readonly h2load: boolean;
}

/**
 * Clients of each round: that close cleanly, are killed, send GOAWAY, reset, or leave during calls.
 */
const REPETITIONS = 2;

/**
 * Runs rounds of clients that disconnect in every possible way against a fresh server process.
 *
 * @returns How the process died, with `after` in completed rounds; undefined if it did not.
 * @throws {Error} If the server is alive, but does not answer or does not close connections.
 */
export async function churnTrial(
  contender: Contender,
  { rounds, h2load }: ChurnTrialOptions,
): Promise<Death | undefined> {
  await using server = await contender.start();
  for (let round = 0; round < rounds; round++) {
    try {
      await churnRound(server, REPETITIONS);
      for (const end of h2load ? ["polite", "killed"] satisfies H2loadEnd[] : []) {
        await h2loadRound(server.url, end);
      }
      await eventually(
        async () => server.hasExited || (await server.usage()).connections === 0,
        { what: "the server has closed every connection that its client has left" },
      );
      if (server.hasExited) throw new Error("the server process has ended");
    } catch (error) {
      const death = await deathOf(server, round);
      if (death === undefined) throw error;
      return death;
    }
  }
  return undefined;
}
