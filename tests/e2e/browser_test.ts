import { buildSync } from "esbuild";
import assert from "node:assert/strict";
import { join } from "node:path";
import { browserTest } from "../support/browser.ts";
import type { BrowserFindings } from "../support/browser_client.ts";
import { startPostgres } from "../support/postgres.ts";
import { databaseEnv, ROOT, startService } from "../support/service.ts";

// Here and not in the tests, which esbuild's worker would outlive.
const client = bundleClient();

browserTest("connect-web calls the service from another origin", async (browser) => {
  await using page = servePage(client);
  await using postgres = await startPostgres();
  const env = { CORS_ALLOWED_ORIGINS: page.origin, HEALTH_WATCH_HEARTBEAT: "0.2" };
  await using service = await startService({ env: { ...databaseEnv(postgres), ...env } });
  await service.logged("health.changed");

  const tab = await browser.newPage();
  await tab.goto(page.origin);
  const findings: BrowserFindings = await tab.evaluate(`findOut(${JSON.stringify(service.url)})`);
  assert.deepEqual({ ...findings, watched: findings.watched.slice(0, 1) }, {
    connect: "HEALTHY",
    connectGet: "HEALTHY",
    grpcWeb: "HEALTHY",
    watched: ["INITIAL"],
    failedWith: findings.failedWith,
  });
  assert.equal(findings.watched.length, 2);
  assert.match(findings.failedWith, /not_found.*postgresql-primary/);
});

browserTest("a browser of an origin that is not allowed gets nothing", async (browser) => {
  await using page = servePage(client);
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });

  const tab = await browser.newPage();
  await tab.goto(page.origin);
  const call = tab.evaluate(`findOut(${JSON.stringify(service.url)})`);
  await assert.rejects(call, /Failed to fetch/);
});

function bundleClient(): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(ROOT, "tests/support/browser_client.ts")],
    absWorkingDir: ROOT,
    bundle: true,
    format: "iife",
    write: false,
  });
  return outputFiles[0]!.text;
}

function servePage(script: string): AsyncDisposable & { readonly origin: string } {
  const html = `<!doctype html><script src="/client.js"></script>`;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const isScript = new URL(request.url).pathname === "/client.js";
    const headers = { "content-type": isScript ? "text/javascript" : "text/html" };
    return new Response(isScript ? script : html, { headers });
  });
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
