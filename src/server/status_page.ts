import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import html from "../../gen/status_page/index.html" with { type: "text" };
import style from "../../gen/status_page/status.css" with { type: "text" };
import script from "../../gen/status_page/status.js" with { type: "text" };
import { get, type Handler, response } from "./handler.ts";

/** Content-Security-Policy: only own resources, nothing inline, no framing. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The handlers of the status page and its assets, by path. Their sources are in `web/`. */
export function statusPage(): ReadonlyMap<string, Handler> {
  return new Map([
    ["/", asset("text/html; charset=utf-8", html)],
    ["/status.css", asset("text/css; charset=utf-8", style)],
    ["/status.js", asset("text/javascript; charset=utf-8", script)],
  ]);
}

/** Revalidated on each request, sent only if changed. */
function asset(contentType: string, text: string): Handler {
  const gzipped = gzipSync(text);
  const tag = `"${createHash("sha256").update(text).digest("base64url")}"`;
  const header = {
    "cache-control": "no-cache",
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "no-referrer",
    vary: "accept-encoding",
    // Weak, because it is the same with and without gzip (RFC 9110, section 8.8.1).
    etag: `W/${tag}`,
  };
  return get((request) => {
    if (request.field("if-none-match")?.includes(tag)) return { status: 304, header };
    return request.field("accept-encoding")?.includes("gzip")
      ? response(200, contentType, gzipped, { ...header, "content-encoding": "gzip" })
      : response(200, contentType, text, header);
  });
}
