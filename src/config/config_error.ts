/** One thing that is wrong with the configuration. Never contains a secret. */
export interface ConfigProblem {
  /** Name of the setting, or path of the `.env` file. */
  readonly setting: string;
  /** What is wrong, as half a sentence. */
  readonly problem: string;
  /** What would be right. */
  readonly allowed: string | undefined;
}

/** Takes note of a problem and goes on, so that one run finds them all. */
export type Report = (setting: string, problem: string, allowed?: string) => void;

/**
 * The configuration is invalid. The message lists every problem, one a line:
 *
 * ```text
 * Configuration is invalid (1 problem):
 *   DB_PORT: "abc" is not a whole number; allowed: whole number from 1 to 65535; default 5432
 * ```
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super([`Configuration is invalid (${count}):`, ...problems.map(describe)].join("\n"));
    this.problems = problems;
  }
}

function describe({ setting, problem, allowed }: ConfigProblem): string {
  return `  ${setting}: ${problem}${allowed === undefined ? "" : `; allowed: ${allowed}`}`;
}
