import type { Fields } from "./handler.ts";

/** Converts Fetch `Headers` to the header fields of a response. */
export function fromHeaders(headers: Headers): Fields {
  const fields: Record<string, string | string[]> = {};
  for (const [name, value] of headers) {
    const earlier = fields[name];
    // Only Set-Cookie can occur more than once; the others are joined (RFC 9110, section 5.3).
    if (earlier === undefined) fields[name] = value;
    else fields[name] = [earlier, value].flat();
  }
  return fields;
}
