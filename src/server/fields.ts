import type { Fields } from "./handler.ts";

/** Header fields of the Fetch standard as those that a response sends. */
export function fromHeaders(headers: Headers): Fields {
  const fields: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const earlier = fields[name];
    // Only Set-Cookie comes more than once; the others have been joined (RFC 9110, section 5.3).
    if (earlier === undefined) fields[name] = value;
    else fields[name] = [earlier, value].flat();
  }
  return fields;
}
