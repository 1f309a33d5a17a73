import type { ConnectionParameter } from "../connection_uri.ts";
import type { ValueType } from "../values/value_type.ts";

/** One setting: how it is read and documented. */
export interface Setting {
  /** What it does, in full sentences. */
  readonly meaning: string;
  /** How the text is parsed, and what is allowed. */
  readonly type: ValueType<unknown>;
  /** The value if nothing sets it, in the form of the variable. */
  readonly default?: string;
  /** For settings without a default. */
  readonly example?: string;
  /** The value may contain a secret, so no message shows it. */
  readonly confidential?: true;
  /** The parameter of `DATABASE_URL` that sets the same. */
  readonly parameter?: ConnectionParameter;
  /** A variable of other software with the same meaning, such as `PGHOST`. It has the lowest precedence. */
  readonly fallback?: string;
  /** The name before the setting was renamed. It is still read, with a warning. */
  readonly formerName?: string;
  /** Set in `.env.example`, as in the specification. All others are comments there. */
  readonly starter?: true;
}
