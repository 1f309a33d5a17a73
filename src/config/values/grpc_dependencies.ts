import type { GrpcDependencyConfig } from "../config.ts";
import { splitList } from "./network.ts";
import { boolean, parsedBy, type ValueType } from "./value_type.ts";

/** The name of the database among the dependencies, set by the specification (story 3). */
const RESERVED_NAME = "postgresql-primary";

/**
 * The gRPC services to check: `name=url` entries, separated by commas.
 *
 * The URL is `http://host[:port]` (cleartext HTTP/2) or `https://host[:port]`, followed by
 * `?critical=false` and `&service=package.Service` as needed.
 */
export const grpcDependencies: ValueType<readonly GrpcDependencyConfig[]> = parsedBy(
  "name=http(s)://host:port entries separated by commas, each with an optional " +
    "?critical=true|false&service=name",
  (text, fail) => {
    const seen = new Set<string>();
    return splitList(text).map((entry, index) => {
      const dependency = parseEntry(entry, (problem) => fail(`${problem} (entry ${index + 1})`));
      if (seen.has(dependency.name)) fail(`has a duplicate name (entry ${index + 1})`);
      seen.add(dependency.name);
      return dependency;
    });
  },
);

function parseEntry(entry: string, fail: (problem: string) => void): GrpcDependencyConfig {
  const [, name, address] = /^([^=]*)=(.*)$/.exec(entry) ?? [];
  if (name === undefined || address === undefined || !URL.canParse(address)) {
    fail("has an entry that is not name=url");
    return { name: entry, url: "", critical: true, service: "" };
  }
  if (!/^[a-z0-9][a-z0-9._-]*$/i.test(name)) {
    fail("has a name with characters other than letters, digits, '.', '_' and '-'");
  }
  if (name === RESERVED_NAME) fail(`uses the reserved name ${RESERVED_NAME}`);

  const url = new URL(address);
  if (!["http:", "https:"].includes(url.protocol)) fail("has a URL that is not http or https");
  if (url.username !== "" || url.password !== "") fail("has a URL with credentials");
  if (!["", "/"].includes(url.pathname) || url.hash !== "") fail("has a URL with a path");

  const unknown = [...url.searchParams.keys()].some((key) =>
    !["critical", "service"].includes(key)
  );
  if (unknown) fail("has a URL parameter other than critical and service");
  const critical = boolean.schema.safeParse(url.searchParams.get("critical") ?? "true");
  if (!critical.success) fail("has a critical parameter that is neither true nor false");
  const service = url.searchParams.get("service") ?? "";
  if (!/^[\w.]*$/.test(service)) fail("has a service parameter that is not a gRPC service name");

  return { name, url: url.origin, critical: critical.success ? critical.data : true, service };
}
