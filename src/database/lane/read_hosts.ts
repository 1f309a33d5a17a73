import type { DatabaseConfig } from "../../config/mod.ts";

/**
 * The configuration of the pool on the read hosts. Any server will do, also one that has been
 * promoted meanwhile, but its sessions only read. A pooler would not pass that on.
 */
export function readLaneConfig(config: DatabaseConfig): DatabaseConfig {
  const lane: DatabaseConfig = { ...config, hosts: config.readHosts, targetSessionAttrs: "any" };
  if (config.pooler !== "none") return lane;
  const readOnly = "-c default_transaction_read_only=on";
  return {
    ...lane,
    options: config.options === undefined ? readOnly : `${config.options} ${readOnly}`,
  };
}
