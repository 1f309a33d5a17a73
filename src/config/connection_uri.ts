import { parsedBy, type ValueType } from "./values/value_type.ts";

// Own parser: npm:connection-string 5.0.0 skips text that it cannot read, splits parameters at
// commas, drops empty hosts, and its errors quote what may be a password; URL knows one host.

/** The parameters of a connection string: libpq's keywords, and `search_path` of the specification. */
export const connectionParameters = [
  "host",
  "port",
  "dbname",
  "user",
  "password",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "connect_timeout",
  "application_name",
  "options",
  "target_session_attrs",
  "keepalives",
  "keepalives_idle",
  "search_path",
] as const;

/** The name of a parameter of a connection string. */
export type ConnectionParameter = (typeof connectionParameters)[number];

/** The parameters that a connection string sets, without empty ones. */
export type ConnectionParameters = ReadonlyMap<ConnectionParameter, string>;

/** A connection string is invalid. The message contains no part of the string. */
export class ConnectionUriError extends Error {
  override readonly name = "ConnectionUriError";
}

const ENCODE_HINT = "characters such as @ : / % in user or password must be percent-encoded";

/**
 * Parses a PostgreSQL connection URI by the rules of libpq
 * (https://www.postgresql.org/docs/16/libpq-connect.html#LIBPQ-CONNSTRING-URIS):
 * percent-encoding, IPv6 in brackets, several hosts, empty parts. Parameters after `?` take
 * precedence over the parts before it, and the last of two equal ones takes effect.
 *
 * Several hosts and their ports come as lists: `h1:5432,h2` gives host `h1,h2`, port `5432,`.
 *
 * ```ts
 * parseConnectionUri("postgresql://ann:p%40ss@[::1]:5433/ledger?sslmode=require").get("host"); // "::1"
 * ```
 *
 * @throws {ConnectionUriError} If the string is invalid. The message says which part.
 */
export function parseConnectionUri(uri: string): ConnectionParameters {
  const scheme = /^postgres(ql)?:\/\//.exec(uri)?.[0];
  if (scheme === undefined) {
    throw new ConnectionUriError("does not start with postgresql:// or postgres://");
  }
  // Like libpq, an "@" counts only in front of the first "/". The rest cannot fail to match.
  const [, userInfo = "", hosts = "", dbname = "", query = ""] =
    /^(?:([^@/]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(uri.slice(scheme.length)) ?? [];
  // libpq would take the rest of a password with a raw "/" for the database name, and show it.
  if (dbname.includes("@")) throw new ConnectionUriError(`has an @ after a /; ${ENCODE_HINT}`);
  const found = new Map<ConnectionParameter, string>();

  const [, user = "", password = ""] = /^([^:]*):?(.*)$/s.exec(userInfo) ?? [];
  found.set("user", decode(user, "user"));
  found.set("password", decode(password, "password"));
  const addresses = hosts.split(",").map(parseAddress);
  found.set("host", joinList(addresses.map((address) => address.host)));
  found.set("port", joinList(addresses.map((address) => address.port)));
  found.set("dbname", decode(dbname, "database name"));
  for (const [name, value] of parseQuery(query)) found.set(name, value);

  return new Map([...found].filter(([, value]) => value !== ""));
}

function parseAddress(text: string, index: number): { host: string; port: string } {
  const where = `host ${index + 1}`;
  if (text.includes("@")) {
    throw new ConnectionUriError(`has more than one @ before its hosts; ${ENCODE_HINT}`);
  }
  const [match, ipv6, name = "", port = ""] =
    /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(text) ?? [];
  if (match === undefined) {
    throw new ConnectionUriError(
      `has a port that is not a number, or an IPv6 address without brackets (${where}); ` +
        ENCODE_HINT,
    );
  }
  return { host: decode(ipv6 ?? name, where), port };
}

function* parseQuery(query: string): Generator<[ConnectionParameter, string]> {
  if (query === "") return;
  for (const [index, pair] of query.split("&").entries()) {
    const where = `parameter ${index + 1}`;
    const [key = "", value, ...more] = pair.split("=");
    if (value === undefined || more.length > 0) {
      throw new ConnectionUriError(`has a parameter that is not name=value (${where})`);
    }
    const name = decode(key, where);
    if (!isConnectionParameter(name)) {
      throw new ConnectionUriError(
        `has an unknown parameter (${where}); known: ${connectionParameters.join(", ")}`,
      );
    }
    yield [name, decode(value, name)];
  }
}

function isConnectionParameter(name: string): name is ConnectionParameter {
  return (connectionParameters as readonly string[]).includes(name);
}

function decode(text: string, part: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes("\0")) return decoded;
  } catch {
    // Reported below, without the text.
  }
  throw new ConnectionUriError(`has an invalid percent-encoding in its ${part}`);
}

function joinList(entries: readonly string[]): string {
  return entries.every((entry) => entry === "") ? "" : entries.join(",");
}

/** `DATABASE_URL` as a type of setting. */
export const connectionUri: ValueType<ConnectionParameters> = parsedBy(
  "postgresql://user:password@host:port/database?parameter=value",
  (text, fail) => {
    try {
      return parseConnectionUri(text);
    } catch (error) {
      if (!(error instanceof ConnectionUriError)) throw error;
      fail(error.message);
      return new Map();
    }
  },
);
