import assert from "node:assert/strict";
import { readArguments } from "../../../../src/commands/status/arguments.ts";
import { settingGroups } from "../../../../src/config/mod.ts";

Deno.test("status arguments: without any, the service where it serves by default", () => {
  const port = settingGroups.map(({ settings }) => settings.SERVER_PORT?.default).find(Boolean);
  assert.deepEqual({ ...readArguments([]) }, {
    url: `http://localhost:${port}`,
    watch: false,
    json: false,
    help: false,
  });
});

const urls: [string, string][] = [
  ["db.example:8080", "http://db.example:8080"],
  ["https://treasury.example/", "https://treasury.example"],
  ["http://[::1]:8080", "http://[::1]:8080"],
  ["https://gateway.example/treasury/", "https://gateway.example/treasury"],
];
for (const [given, url] of urls) {
  Deno.test(`status arguments: ${given} is taken for ${url}`, () => {
    assert.equal(readArguments(["--watch", given, "--json"]).url, url);
  });
}

for (const args of [["--loud"], ["a", "b"], ["ftp://localhost"], ["http://"]]) {
  Deno.test(`status arguments: ${args.join(" ")} is refused`, () => {
    assert.throws(() => readArguments(args), TypeError);
  });
}
