import { isIPv6 } from "node:net";
import { parsedBy, type ValueType } from "./value_type.ts";

// Underscores are not in RFC 1123, but container names have them.
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

function parseHost(text: string, fail: (problem: string) => void): string {
  const host = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (isIPv6(host) || HOST_NAME.test(text)) return host;
  if (text === "") fail("has an empty host");
  else if (text.startsWith("/")) fail("is a Unix socket directory, which is not supported");
  else if (/^[^:]+:\d+$/.test(text)) fail("contains a port, which has its own setting");
  else fail("is not a host name or IP address");
  return host;
}

/** A host name or IP address; IPv6 with or without brackets, held without. */
export const host: ValueType<string> = parsedBy("host name or IP address", parseHost);

/** One or several hosts. */
export const hosts: ValueType<readonly string[]> = parsedBy(
  "host name or IP address, or several separated by commas",
  (text, fail) => splitList(text).map((entry) => parseHost(entry, fail)),
);

/** An address with an optional port. */
export interface HostWithPort {
  readonly host: string;
  readonly port: number | undefined;
}

/** An address to listen on. */
export const address: ValueType<{ readonly host: string; readonly port: number }> = parsedBy(
  "host:port (IPv6 in brackets)",
  (text, fail) => {
    const [, host, digits] = /^(\[.*\]|[^:]*):(\d+)$/.exec(text) ?? [];
    if (host === undefined) {
      fail("is not host:port");
      return { host: text, port: 0 };
    }
    const port = Number(digits);
    if (port > 65_535) fail("has a port that is not from 0 to 65535");
    return { host: parseHost(host, fail), port };
  },
);

/** One or several hosts, each with or without a port. */
export const hostsWithPorts: ValueType<readonly HostWithPort[]> = parsedBy(
  "host or host:port (IPv6 with a port in brackets), or several separated by commas",
  (text, fail) => {
    return splitList(text).map((entry) => {
      const [, host = entry, port] = /^(\[.*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
      const number = port === undefined ? undefined : Number(port);
      if (number !== undefined && (number < 1 || number > 65535)) {
        fail("has a port that is not from 1 to 65535");
      }
      return { host: parseHost(host, fail), port: number };
    });
  },
);

/** One or several ports; an empty entry among several is `undefined`, as in libpq. */
export const ports: ValueType<readonly (number | undefined)[]> = parsedBy(
  "whole number from 1 to 65535, or one for each host separated by commas",
  (text, fail) => {
    return splitList(text).map((entry) => {
      if (entry === "") return undefined;
      if (!/^\d+$/.test(entry)) fail("is not a whole number");
      else if (Number(entry) < 1 || Number(entry) > 65535) fail("is not from 1 to 65535");
      return Number(entry);
    });
  },
);

/** Origins of browser pages in the form that browsers send (RFC 6454), or only `*`. */
export const origins: ValueType<readonly string[]> = parsedBy(
  "origins such as https://app.example.com:8443, separated by commas, or *",
  (text, fail) => {
    if (text.trim() === "*") return ["*"];
    return splitList(text).map((entry, index) => {
      // Without the pattern, URL would drop a path or credentials silently.
      if (!/^https?:\/\/[^/?#@\s]+$/i.test(entry) || !URL.canParse(entry)) {
        fail(`has an entry that is not an origin (entry ${index + 1})`);
        return entry;
      }
      return new URL(entry).origin;
    });
  },
);

/** Splits a list at commas and trims its entries. */
export function splitList(text: string): string[] {
  return text.split(",").map((entry) => entry.trim());
}
