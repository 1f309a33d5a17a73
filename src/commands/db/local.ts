import net from "node:net";
import type { DatabaseConfig } from "../../config/mod.ts";
import { UsageError } from "../usage_error.ts";

const LOOPBACK = new net.BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/**
 * Prevents development commands from changing databases on other machines by accident.
 *
 * @throws {UsageError} If a host may be another machine, and `--remote` is not among the arguments.
 */
export function requireLocal({ hosts }: DatabaseConfig, args: readonly string[]): void {
  const remote = hosts.map(({ host }) => host).filter((host) => !isLocal(host));
  if (remote.length === 0 || args.includes("--remote")) return;
  throw new UsageError(
    `${remote.join(", ")} may be another machine. To run the command anyway, add --remote.`,
  );
}

function isLocal(host: string): boolean {
  const family = net.isIP(host);
  if (family === 0) return host === "localhost";
  return LOOPBACK.check(host, family === 6 ? "ipv6" : "ipv4");
}
