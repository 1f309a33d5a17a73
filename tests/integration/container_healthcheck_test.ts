import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../support/service.ts";
import { startServer } from "../support/server.ts";

const HEALTHCHECK = join(ROOT, "deploy/docker/healthcheck.ts");

/** Runs the health check of the image with the permissions that its first line gives. */
async function healthcheck(env: Record<string, string>, probe: string) {
  const [firstLine] = (await Deno.readTextFile(HEALTHCHECK)).split("\n");
  const [, permissions] = /deno run (.*)$/.exec(firstLine!)!;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissions!.split(" "), HEALTHCHECK, probe],
    env,
  });
  const { code, stdout } = await command.output();
  return { code, output: new TextDecoder().decode(stdout).trim() };
}

for (const variable of ["SERVER_PORT", "PORT"]) {
  Deno.test(`the image's health check asks at the port of ${variable}`, async () => {
    await using server = await startServer();
    const env = { SERVER_PORT: "", PORT: "", [variable]: String(server.port) };
    assert.deepEqual(await healthcheck(env, "livez"), { code: 0, output: "200 alive" });
    assert.equal((await healthcheck(env, "nothing")).code, 1);
  });
}
