import type net from "node:net";
import tls from "node:tls";
import type { DatabaseConfig, HostAddress, TargetSessionAttrs } from "../../config/mod.ts";
import { Connection, type ConnectionOptions, type ServerRole } from "./connection.ts";
import { abortReason, classify, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import { undeclaredPooler } from "./pooler.ts";
import { connectSocket } from "./socket.ts";
import { certificateExpiry, upgradeToTls } from "./tls.ts";

/** A server to try: the configured host, and one of its addresses. */
export interface Candidate extends HostAddress {
  readonly address: string;
}

/** What is common to all servers of the list. */
export interface SessionOptions extends Omit<ConnectionOptions, "host" | "port" | "dial"> {
  /** Called with the expiry time of each certificate that a server has presented. */
  readonly onCertificate?: ((expiresAt: Date) => void) | undefined;
}

/** Errors of servers without TLS: some close the connection instead of answering. */
const NO_TLS: ReadonlySet<DatabaseErrorCode> = new Set(["TLS_FAILED", "CONNECTION_LOST"]);

/** Errors of statements; during login they mean that the server rejected the session. */
const REFUSALS: ReadonlySet<DatabaseErrorCode> = new Set([
  "QUERY_FAILED",
  "INSUFFICIENT_PRIVILEGE",
]);

type Encryption = "plain" | "tls" | "tls-if-offered";

/**
 * Opens a session with one server, trying the encryption modes of `sslmode` in order.
 *
 * @throws {DatabaseError} Classified; `WRONG_SERVER_ROLE` if `target_session_attrs` excludes it.
 *
 * Source: PostgreSQL documentation, 34.19.3 "Protection Provided in Different Modes".
 */
export async function openSession(
  candidate: Candidate,
  config: DatabaseConfig,
  session: SessionOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const [first, second] = encryptions(config);
  try {
    return await openEncrypted(candidate, first, config, session, signal);
  } catch (error) {
    const { code, sqlState } = classify(error);
    // 28000: rejected by pg_hba.conf, possibly because of the encryption; a wrong password is
    // 28P01.
    const mayHelp = sqlState === "28000" || (first === "tls-if-offered" && NO_TLS.has(code));
    if (second === undefined || !mayHelp || signal.aborted) throw error;
    return await openEncrypted(candidate, second, config, session, signal);
  }
}

function encryptions({ tls }: DatabaseConfig): readonly [Encryption, Encryption?] {
  switch (tls.mode) {
    case "disable":
      return ["plain"];
    case "allow":
      return ["plain", "tls"];
    case "prefer":
      return ["tls-if-offered", "plain"];
    default:
      return ["tls"];
  }
}

async function openEncrypted(
  candidate: Candidate,
  encryption: Encryption,
  config: DatabaseConfig,
  session: SessionOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const { host, port } = candidate;
  const { onCertificate } = session;
  const socket = await dial(candidate, encryption, { config, onCertificate, signal });
  // A cancel request goes to the same address, with the same encryption as the session.
  const same = socket instanceof tls.TLSSocket ? "tls" : "plain";
  const connection = new Connection(socket, {
    ...session,
    host,
    port,
    dial: (signal) => dial(candidate, same, { config, onCertificate, signal }),
  });
  const role = await connection.startup(signal).catch((error) => {
    throw asConnectFailure(error, `${host}:${port}`, signal);
  });
  const { targetSessionAttrs: wanted } = config;
  if (!accepts(wanted, role)) {
    await connection.close();
    throw new DatabaseError("WRONG_SERVER_ROLE", {
      message: `${host}:${port} is not a ${wanted} server (target_session_attrs)`,
    });
  }
  return connection;
}

interface DialOptions extends Pick<SessionOptions, "onCertificate"> {
  readonly config: DatabaseConfig;
  readonly signal: AbortSignal;
}

async function dial(
  { host, port, address }: Candidate,
  encryption: Encryption,
  { config, onCertificate, signal }: DialOptions,
): Promise<net.Socket> {
  const keepAliveIdleMs = config.keepAlives ? config.keepAlivesIdleMs : undefined;
  const socket = await connectSocket({ host: address, port }, { keepAliveIdleMs, signal });
  if (encryption === "plain") return socket;
  try {
    const secured = await upgradeToTls(socket, host, config.tls, signal);
    if (secured === undefined && encryption === "tls") {
      throw new DatabaseError("TLS_FAILED", {
        message: `${host}:${port} does not support TLS, which sslmode ${config.tls.mode} needs`,
      });
    }
    const expiresAt = secured && certificateExpiry(secured);
    if (expiresAt !== undefined) onCertificate?.(expiresAt);
    return secured ?? socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function asConnectFailure(error: unknown, server: string, signal: AbortSignal): DatabaseError {
  if (signal.aborted) return abortReason(signal);
  const failure = classify(error);
  if (failure.code === "CONNECTION_LOST") {
    const message = `${server} closed the connection during login`;
    return new DatabaseError("CONNECTION_LOST", { message, cause: failure });
  }
  // Rejected by the pooler, because of a parameter that only a server supports.
  if (failure.code === "POOLER_MISMATCH" && failure.sqlState) return undeclaredPooler(failure);
  if (!REFUSALS.has(failure.code)) return failure;
  const { message, sqlState } = failure;
  return new DatabaseError("CONNECTION_REJECTED", { message, sqlState, cause: error });
}

/** Whether `target_session_attrs` allows a server. */
export function accepts(wanted: TargetSessionAttrs, { inRecovery, readOnly }: ServerRole): boolean {
  switch (wanted) {
    case "read-write":
      return !readOnly;
    case "read-only":
      return readOnly;
    case "primary":
      return !inRecovery;
    case "standby":
      return inRecovery;
    default:
      return true;
  }
}

/** Whether `target_session_attrs` prefers no other server to this one. */
export function prefers(wanted: TargetSessionAttrs, role: ServerRole | undefined): boolean {
  if (role === undefined) return false;
  switch (wanted) {
    case "prefer-read-write":
      return accepts("read-write", role);
    case "prefer-standby":
      return accepts("standby", role);
    default:
      return accepts(wanted, role);
  }
}
