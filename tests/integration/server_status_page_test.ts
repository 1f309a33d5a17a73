import assert from "node:assert/strict";
import { startServer } from "../support/server.ts";

const PATHS = ["/", "/status.js", "/status.css"];

for (const path of PATHS) {
  Deno.test(`status page: ${path} allows nothing from elsewhere`, async () => {
    await using server = await startServer();
    const response = await fetch(new URL(path, server.url));
    await response.body?.cancel();
    assert.equal(response.status, 200);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /^default-src 'none';/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
  });

  Deno.test(`status page: ${path} is not sent again while it is the same`, async () => {
    await using server = await startServer();
    const url = new URL(path, server.url);
    const first = await fetch(url);
    const text = await first.text();
    const etag = first.headers.get("etag") ?? "";
    const again = await fetch(url, { headers: { "if-none-match": etag } });
    assert.equal(again.status, 304);
    assert.equal(await again.text(), "");
    const other = await fetch(url, { headers: { "if-none-match": '"other"' } });
    assert.equal(await other.text(), text);
  });
}

Deno.test("status page: is compressed for those who take it", async () => {
  await using server = await startServer();
  using client = Deno.createHttpClient({});
  const url = new URL("/status.js", server.url);
  const plain = await fetch(url, { client, headers: { "accept-encoding": "identity" } });
  assert.equal(plain.headers.get("content-encoding"), null);
  const text = await plain.text();
  const length = Number(plain.headers.get("content-length"));
  assert.equal(length, new TextEncoder().encode(text).length);

  const head = await fetch(url, { method: "HEAD", headers: { "accept-encoding": "gzip" } });
  assert.ok(Number(head.headers.get("content-length") ?? length) < length);
  assert.equal(head.headers.get("vary"), "accept-encoding");
});

Deno.test("status page: the document needs nothing inline and nothing from elsewhere", async () => {
  await using server = await startServer();
  const html = await (await fetch(server.url)).text();
  const references = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url]) => url!);
  assert.ok(references.length > 3);
  for (const reference of references) assert.match(reference, /^(\/[^/]|data:)/);
  assert.doesNotMatch(html, /<style|style="|<script(?![^>]*src=)| on\w+="/);
});
