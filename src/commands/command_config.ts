import type { ConfigSource } from "../config/mod.ts";
import { openConfigSource } from "../read_config.ts";

/**
 * Opens the settings of this process as {@linkcode openConfigSource} does, and prints their warnings
 * to standard error.
 *
 * @throws {ConfigError} If no setting says which database to use, or `.env` cannot be read.
 */
export function openCommandConfig(): ConfigSource {
  const source = openConfigSource();
  for (const warning of source.warnings()) console.warn(`Warning: ${warning}`);
  return source;
}
