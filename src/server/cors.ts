import { cors as connectCors } from "@connectrpc/connect";
import type { Fields, Handler, Request } from "./handler.ts";

/**
 * Seconds for which a browser may cache a preflight answer; two hours is the maximum in Chromium.
 */
const PREFLIGHT_MAX_AGE_S = 7_200;

/**
 * Answers cross-origin preflight requests and adds CORS headers to responses for the allowed
 * origins, with the headers that Connect and gRPC-Web need (https://connectrpc.com/docs/cors). `*`
 * allows every origin. Without allowed origins, returns the handler unchanged.
 *
 * Source: Fetch standard, "CORS protocol".
 */
export function cors(inner: Handler, allowedOrigins: readonly string[]): Handler {
  if (allowedOrigins.length === 0) return inner;
  return async (request) => {
    const origin = request.field("origin");
    const allowed = origin !== undefined &&
      (allowedOrigins.includes("*") || allowedOrigins.includes(origin));
    if (isPreflight(request)) {
      return { status: 204, header: allowed ? preflightHeader(origin) : varyOrigin };
    }
    const response = await inner(request);
    const { header = {} } = response;
    return {
      ...response,
      header: {
        ...header,
        vary: header.vary === undefined ? "Origin" : `${header.vary}, Origin`,
        ...(allowed && {
          "access-control-allow-origin": origin,
          "access-control-expose-headers": connectCors.exposedHeaders.join(", "),
        }),
      },
    };
  };
}

const varyOrigin: Fields = { vary: "Origin" };

function isPreflight(request: Request): boolean {
  return request.method === "OPTIONS" &&
    request.field("access-control-request-method") !== undefined;
}

function preflightHeader(origin: string): Fields {
  return {
    ...varyOrigin,
    "access-control-allow-origin": origin,
    "access-control-allow-methods": connectCors.allowedMethods.join(", "),
    "access-control-allow-headers": connectCors.allowedHeaders.join(", "),
    "access-control-max-age": String(PREFLIGHT_MAX_AGE_S),
  };
}
