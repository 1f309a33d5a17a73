import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { removeIfThere } from "../../dev/files.ts";
import { isAccessible, runAs, serverAccount } from "../../dev/postgres/account.ts";
import { makeRunnable } from "../../dev/postgres/binaries.ts";
import { EmbeddedServer } from "../../dev/postgres/server.ts";
import { sharedDirectory } from "../../dev/postgres/shared_directory.ts";
import { TestDirectory } from "../support/postgres_directory.ts";
import { SUPERUSER_PASSWORD } from "../support/postgres_template.ts";
import { testUnless, whyNotRoot } from "../support/requirement.ts";

testUnless(
  whyNotRoot(),
  "root gets a clear error for a directory that is closed to the server's account",
  async () => {
    await using directory = await TestDirectory.make();
    const closed = join(directory.path, "closed");
    await Deno.mkdir(closed, { mode: 0o700 });
    await using server = new EmbeddedServer({
      directory: join(closed, "postgres"),
      password: SUPERUSER_PASSWORD,
    });
    await assert.rejects(server.start(), /The account \w+ cannot access .*closed\/postgres/);
  },
);

testUnless(
  whyNotRoot(),
  "root gets a copy of programs that are closed to the server's account",
  async () => {
    await using directory = await TestDirectory.make();
    const account = await serverAccount();
    const closed = join(directory.path, "closed");
    const native = join(closed, "native");
    await Deno.mkdir(join(native, "bin"), { recursive: true });
    await Deno.chmod(closed, 0o700);
    const packaged = { initdb: `${native}/bin/initdb`, postgres: `${native}/bin/postgres` };
    for (const program of Object.values(packaged)) {
      await Deno.writeTextFile(program, "#!/bin/sh\nid -u\n", { mode: 0o700 });
    }
    const shared = await sharedDirectory(native);
    try {
      const runnable = await makeRunnable(packaged, account);
      assert.notEqual(runnable.postgres, packaged.postgres);
      for (const program of Object.values(runnable)) {
        const { stdout } = await new Deno.Command(program, runAs(account)).output();
        assert.equal(Number(new TextDecoder().decode(stdout)), account?.uid);
      }
      assert.deepEqual(await makeRunnable(packaged, account), runnable, "copied once");
    } finally {
      await removeIfThere(shared);
    }
  },
);

// As an ordinary user every other test shows it.
testUnless(
  whyNotRoot(),
  "an ordinary user needs no other account",
  async () => {
    await using directory = await TestDirectory.make();
    await Deno.chmod(directory.path, 0o777);
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const nobody = { name: "nobody", uid: 65534, gid: 65534 };
    if (!await isAccessible(root, "-r", nobody)) {
      console.log(`skipped: ${root} is closed to other users`);
      return;
    }
    // Deno itself may be in root's home directory. Copied by a process of its own: a file that
    // this one had open for writing could still be open in a child that another test is just
    // spawning, and then it cannot be run (ETXTBSY).
    const deno = join(directory.path, "deno");
    const copy = await new Deno.Command("cp", { args: [Deno.execPath(), deno] }).output();
    assert.ok(copy.success, new TextDecoder().decode(copy.stderr));
    const module = new URL("../../dev/postgres/server.ts", import.meta.url).href;
    const script = join(directory.path, "main.ts");
    await Deno.writeTextFile(
      script,
      `import { EmbeddedServer } from ${JSON.stringify(module)};
       await using server = new EmbeddedServer({
         directory: ${JSON.stringify(join(directory.path, "postgres"))},
         name: ${JSON.stringify(directory.serverName)},
         password: "superuser-test-password",
       });
       await server.start();
       console.log(Deno.uid());`,
    );
    const { stdout, stderr } = await new Deno.Command(deno, {
      args: ["run", "-A", "--no-lock", "--node-modules-dir=manual", script],
      env: { HOME: directory.path, DENO_DIR: join(directory.path, "cache") },
      ...runAs(nobody),
      cwd: root,
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "65534\n", new TextDecoder().decode(stderr));
  },
);
