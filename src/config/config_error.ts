/** One problem in the configuration. Never contains a secret. */
export interface ConfigProblem {
  /** Name of the setting, or path of the `.env` file. */
  readonly setting: string;
  /** What is wrong: a predicate such as "is not a whole number". */
  readonly problem: string;
  /** What the setting allows. */
  readonly allowed: string | undefined;
}

/** Records a problem and continues, so that one run finds all of them. */
export type Report = (setting: string, problem: string, allowed?: string) => void;

/**
 * The configuration is invalid. The message lists all problems, one per line:
 *
 * ```text
 * Configuration is invalid (1 problem):
 *   DB_PORT: "abc" is not a whole number; allowed: whole number from 1 to 65535; default 5432
 * ```
 */
export class ConfigError extends Error {
  /** Always `ConfigError`. */
  override readonly name = "ConfigError";
  /** At least one, in the order of the settings. */
  readonly problems: readonly ConfigProblem[];

  /** Composes the message from the problems, of which there is at least one. */
  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super([`Configuration is invalid (${count}):`, ...problems.map(describe)].join("\n"));
    this.problems = problems;
  }
}

function describe({ setting, problem, allowed }: ConfigProblem): string {
  return `  ${setting}: ${problem}${allowed === undefined ? "" : `; allowed: ${allowed}`}`;
}
