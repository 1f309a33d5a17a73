import assert from "node:assert/strict";
import denoJson from "../../../deno.json" with { type: "json" };
import { ConfigSource, environmentNames, loadConfig } from "../../../src/config/mod.ts";
import { problemsOf, readFrom } from "./problems_of.ts";

for (
  const [title, env, file, port] of [
    ["PORT when nothing else sets it", { PORT: "9090" }, "", 9090],
    ["SERVER_PORT rather than PORT", { SERVER_PORT: "8081", PORT: "9090" }, "", 8081],
    ["SERVER_PORT of .env rather than PORT", { PORT: "9090" }, "SERVER_PORT=8082", 8082],
    [
      "PORT rather than the default when SERVER_PORT is empty",
      {
        SERVER_PORT: "",
        PORT: "9090",
      },
      "",
      9090,
    ],
    ["PORT of .env", {}, "PORT=9091", 9091],
    ["the default when PORT is empty", { PORT: "" }, "", 8080],
  ] as const
) {
  Deno.test(`the port: ${title}`, () => {
    const options = { env, envFile: ".env", readTextFile: readFrom({ ".env": file }) };
    assert.equal(loadConfig(options).server.port, port);
  });
}

Deno.test("the port: a bad PORT is called by its name", () => {
  const allowed = "whole number from 0 to 65535; default 8080";
  assert.deepEqual(problemsOf({ PORT: "http" }), [
    { setting: "PORT", problem: '"http" is not a whole number', allowed },
  ]);
  assert.deepEqual(problemsOf({ PORT: "65536" }), [
    { setting: "PORT", problem: '"65536" is too large', allowed },
  ]);
});

Deno.test("the port: the log says where it comes from", () => {
  assert.deepEqual(new ConfigSource({ env: { PORT: "9090" } }).settingsInUse(), {
    SERVER_PORT: { value: "9090", from: "PORT" },
  });
});

Deno.test("the start task may read every variable of the service", () => {
  const [, list] = /--allow-env=(\S+)/.exec(denoJson.tasks.start.command)!;
  const patterns = list!.split(",");
  const unreadable = environmentNames.filter((name) =>
    !patterns.some((pattern) =>
      pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern
    )
  );
  assert.deepEqual(unreadable, []);
});
