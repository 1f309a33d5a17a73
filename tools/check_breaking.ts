/**
 * Fails if proto/ breaks clients of the main branch; on main itself, of the previous commit. Prints
 * a message if there is nothing to compare with.
 */
const base = await baseCommit();
if (base === undefined) {
  console.log("buf breaking: there is no earlier contract to compare with.");
  Deno.exit(0);
}
console.log(`buf breaking: comparing with ${base}.`);
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["task", "buf", "breaking", "--against", `.git#ref=${base}`],
}).spawn().status;
Deno.exit(code);

async function baseCommit(): Promise<string | undefined> {
  const head = await git("rev-parse", "HEAD");
  for (const branch of ["origin/main", "main", "HEAD~1"]) {
    const commit = await git("merge-base", "HEAD", branch);
    if (commit === undefined || (commit === head && branch !== "HEAD~1")) continue;
    if (await git("cat-file", "-e", `${commit}:buf.yaml`) !== undefined) return commit;
  }
  return undefined;
}

async function git(...args: string[]): Promise<string | undefined> {
  const { success, stdout } = await new Deno.Command("git", { args, stderr: "null" }).output();
  return success ? new TextDecoder().decode(stdout).trim() : undefined;
}
