/** Arguments that a command cannot take. The message says how it is used. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
