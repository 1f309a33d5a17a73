import { churnRound } from "../tests/chaos/transport/churn.ts";
import { eventually } from "../tests/support/condition.ts";
import { type Death, deathOf } from "./connection_growth.ts";
import { type H2loadEnd, h2loadRound } from "./h2load_round.ts";
import type { Contender } from "./transport_contenders.ts";

export interface ChurnTrialOptions {
  /** Rounds that each server goes through. */
  readonly rounds: number;
  /** Whether h2load is there for rounds of its own. */
  readonly h2load: boolean;
}

/** Clients that are polite, killed, say GOAWAY, reset, and leave in the middle; in each round. */
const REPETITIONS = 2;

/**
 * Puts a fresh server process through rounds of clients that leave in every way there is.
 *
 * @returns how the process died, `after` being whole rounds; undefined when it lived
 * @throws {Error} when the server lives, but does not answer or does not let connections go
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
