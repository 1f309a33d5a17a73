import assert from "node:assert/strict";
import { Redactor } from "../../../src/log/redact.ts";

/** What a line of JSON says after redaction. */
const redacted = (secrets: readonly string[], value: unknown) =>
  JSON.parse(new Redactor(secrets).redact(JSON.stringify(value)));

Deno.test("redact: a known secret is removed wherever it stands", () => {
  assert.deepEqual(
    redacted(["hunter2"], { msg: "login with hunter2", deep: [{ hunter2: "xhunter2x hunter2" }] }),
    {
      msg: "login with [redacted]",
      deep: [{ "[redacted]": "x[redacted]x [redacted]" }],
    },
  );
});

Deno.test("redact: secrets with quotes, backslashes, control characters and unicode", () => {
  for (const secret of ['pa"ss', "pa\\ss", "pa\nss", "pässwörd🔑", "$&$1$$", "a.*b(c"]) {
    assert.deepEqual(redacted([secret], { msg: `<${secret}>` }), { msg: "<[redacted]>" }, secret);
  }
});

Deno.test("redact: the percent-encoded spelling of a secret", () => {
  for (const secret of ["p@ss/wörd", "100% sure?"]) {
    const line = { query: `?password=${encodeURIComponent(secret)}` };
    assert.deepEqual(redacted([secret], line), { query: "?password=[redacted]" });
  }
});

Deno.test("redact: a secret that contains another is removed whole", () => {
  assert.deepEqual(redacted(["hunter", "hunter22"], ["hunter22", "hunter"]), [
    "[redacted]",
    "[redacted]",
  ]);
});

Deno.test("redact: values too short to be secrets leave the line alone", () => {
  assert.deepEqual(redacted(["", "a", "abc"], { msg: "abc a" }), { msg: "abc a" });
});

Deno.test("redact: credentials of URLs are removed, known or not", () => {
  const line = {
    a: "postgresql://user:hunter2@db.internal:5432/treasury?sslmode=disable",
    b: "see https://token@example.com/path, and http://example.com/a@b",
    c: "postgres://user:p%40ss@[::1]/x POSTGRES://u:p@h",
  };
  assert.deepEqual(redacted([], line), {
    a: "postgresql://[redacted]@db.internal:5432/treasury?sslmode=disable",
    b: "see https://[redacted]@example.com/path, and http://example.com/a@b",
    c: "postgres://[redacted]@[::1]/x POSTGRES://[redacted]@h",
  });
});

Deno.test("redact: a line without secrets is not changed", () => {
  const line = '{"msg":"mail to ops@example.com about http://example.com"}\n';
  assert.equal(new Redactor(["hunter2"]).redact(line), line);
});

Deno.test("redact: a secret that is added later is removed from then on", () => {
  const redactor = new Redactor(["hunter2"]);
  assert.equal(redactor.redact('"hunter2 hunter22"'), '"[redacted] [redacted]2"');
  redactor.add("hunter22");
  assert.equal(redactor.redact('"hunter2 hunter22"'), '"[redacted] [redacted]"');
});
