import { readFile } from "node:fs/promises";
import { type DatabaseConfig, passwordInFile, type Secret } from "../../config/mod.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { abortable, type Clock, Deadline } from "../../time.ts";

/** Abort signal and hook of {@linkcode currentPassword}. */
export interface PasswordOptions {
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
  /** Called with each password that is read from the file. */
  readonly onPassword?: ((password: Secret) => void) | undefined;
}

/**
 * Returns the current password. Called for every connection, because the file may have changed.
 *
 * @throws {DatabaseError} `AUTHENTICATION_FAILED` if the file cannot be read; `CONNECT_TIMEOUT` if
 * that takes too long, as on a network file system; or the reason of the signal.
 */
export async function currentPassword(
  { password, passwordFile, connectTimeoutMs }: DatabaseConfig,
  { signal, clock, onPassword }: PasswordOptions,
): Promise<string> {
  if (passwordFile === undefined) return password?.reveal() ?? "";
  using limit = new Deadline({
    timeoutMs: connectTimeoutMs,
    signal,
    clock,
    onTimeout: () =>
      new DatabaseError("CONNECT_TIMEOUT", {
        message:
          `Timed out after ${connectTimeoutMs} ms reading the password file (DB_PASSWORD_FILE)`,
      }),
  });
  try {
    const current = passwordInFile(
      await abortable(readFile(passwordFile, "utf8"), limit.signal, abortReason),
    );
    if (current !== undefined) onPassword?.(current);
    return current?.reveal() ?? "";
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError("AUTHENTICATION_FAILED", {
      message: "The password file (DB_PASSWORD_FILE) cannot be read",
      cause: error,
    });
  }
}
