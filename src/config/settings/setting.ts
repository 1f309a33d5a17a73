import type { ConnectionParameter } from "../connection_uri.ts";
import type { ValueType } from "../values/value_type.ts";

/** One setting, as code, documentation and `.env.example` know it. */
export interface Setting {
  /** What it does, in full sentences. */
  readonly meaning: string;
  readonly type: ValueType<unknown>;
  /** Text that stands for the setting when nothing sets it. */
  readonly default?: string;
  /** For settings without a default. */
  readonly example?: string;
  /** The text may contain a secret, so no message may show it. */
  readonly confidential?: true;
  /** The same thing as part or parameter of `DATABASE_URL`. */
  readonly parameter?: ConnectionParameter;
  /** Another's environment variable for it, such as one of PostgreSQL's; for when nothing else sets it. */
  readonly fallback?: string;
  /** Set in `.env.example`, as in the specification's list; all others are comments there. */
  readonly starter?: true;
}
