import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runAs, serverAccount } from "../../dev/postgres/account.ts";
import { removeIfThere } from "../../dev/files.ts";
import { eventually } from "../support/condition.ts";
import { findLeftovers } from "../support/leftovers.ts";
import { startEmbeddedPostgres } from "../support/postgres.ts";
import { TEST_PREFIX, TestDirectory } from "../support/postgres_directory.ts";

async function leftoversOf(name: string): Promise<string[]> {
  return (await findLeftovers()).filter((line) => line.includes(name));
}

Deno.test("what a living test owns is not left over, and nothing is after disposal", async () => {
  const server = await startEmbeddedPostgres();
  const [row] = await server.admin<{ name: string }>("select current_setting('cluster_name') name");
  assert.deepEqual(await leftoversOf(row!.name), []);
  await server[Symbol.asyncDispose]();
  assert.deepEqual(await leftoversOf(row!.name), []);
  await assert.rejects(Deno.stat(join(tmpdir(), row!.name)), Deno.errors.NotFound);
});

Deno.test("a test that fails leaves nothing behind", async () => {
  let name = "";
  const failing = async () => {
    await using directory = await TestDirectory.make();
    name = directory.serverName;
    throw new Error("the test fails");
  };
  await assert.rejects(failing(), /the test fails/);
  assert.deepEqual(await leftoversOf(name), []);
});

Deno.test("a directory and a process without a living owner are found", async () => {
  const name = `${TEST_PREFIX}leftover${Deno.pid}`;
  const path = join(tmpdir(), name);
  await Deno.mkdir(path);
  const account = await serverAccount();
  try {
    await using process = new Deno.Command("sh", {
      args: ["-c", "sleep 60; :", `cluster_name=${name}`],
      ...runAs(account),
    }).spawn();
    // Until it runs sleep, the shell's child looks like the shell.
    const leftovers = await eventually(async () => {
      const found = await leftoversOf(name);
      assert.equal(found.length, 2, found.join("\n"));
      return found;
    });
    assert.match(leftovers[0]!, new RegExp(`^process ${process.pid}: `));
    assert.equal(leftovers[1], `directory ${path}`);
  } finally {
    await removeIfThere(path);
  }
  assert.deepEqual(await leftoversOf(name), []);
});
