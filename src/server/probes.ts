import { type Handler, type Request, type Response, response, textResponse } from "./handler.ts";

/** Whether the service should get traffic, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/**
 * `/livez`: 200 as long as the process answers. It asks no other system, because restarting this
 * service cures nobody else (Kubernetes, "Liveness, Readiness and Startup Probes").
 */
export function livez(): Handler {
  return get((request) => textResponse(request, 200, "alive", noStore));
}

/** `/readyz`: 200 while the service should get traffic, else 503 with the reason. */
export function readyz(readiness: () => Readiness): Handler {
  return get((request) => {
    const { ready, reason } = readiness();
    return textResponse(
      request,
      ready ? 200 : 503,
      ready ? "ready" : `not ready: ${reason}`,
      noStore,
    );
  });
}

/** `/`: where people find out what runs here. */
export function index(version: string): Handler {
  const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Treasury Service</title>
<h1>Treasury Service ${version}</h1>
<ul>
<li><a href="/treasury.v1.Health/GetHealth?encoding=json&amp;message=%7B%7D&amp;connect=v1">Health</a>
<li><a href="/readyz">Readiness</a>
<li><a href="/livez">Liveness</a>
</ul>
</html>
`;
  const header = { "content-security-policy": "default-src 'none'" };
  return get((request) => response(request, 200, "text/html; charset=utf-8", page, header));
}

const noStore = { "cache-control": "no-store" };

function get(answer: (request: Request) => Response): Handler {
  return (request) => {
    const allowed = request.method === "GET" || request.method === "HEAD";
    return Promise.resolve(
      allowed
        ? answer(request)
        : textResponse(request, 405, "405 Method Not Allowed: use GET", { allow: "GET, HEAD" }),
    );
  };
}
