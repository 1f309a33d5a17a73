/** Returns the URL of a server, with an IPv6 address in brackets (RFC 3986, section 3.2.2). */
export function httpUrl(
  { host, port, path = "/", isTls = false }: {
    readonly host: string;
    readonly port: number;
    readonly path?: string;
    readonly isTls?: boolean;
  },
): URL {
  const name = host.includes(":") ? `[${host}]` : host;
  return new URL(path, `${isTls ? "https" : "http"}://${name}:${port}`);
}
