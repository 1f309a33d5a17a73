import type { DatabaseConfig } from "../config/mod.ts";

/**
 * The configuration of the pool on the read hosts. Any server will do, also one that has been
 * promoted meanwhile, but its sessions only read.
 */
export function readLaneConfig(config: DatabaseConfig): DatabaseConfig {
  const readOnly = "-c default_transaction_read_only=on";
  return {
    ...config,
    hosts: config.readHosts,
    targetSessionAttrs: "any",
    options: config.options === undefined ? readOnly : `${config.options} ${readOnly}`,
  };
}
