/** The operating system account that PostgreSQL runs as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Finds an account for PostgreSQL, which refuses to run as root: `postgres` if the system has it,
 * otherwise `nobody`. Creates no account, because a development tool should not change the users of
 * the machine.
 *
 * @returns `undefined` unless this user is root: the server then runs as this user.
 * @throws {Error} If this user is root and neither account exists.
 */
export async function serverAccount(): Promise<Account | undefined> {
  if (Deno.uid() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const uid = await numericId("-u", name);
    const gid = await numericId("-g", name);
    if (uid !== undefined && gid !== undefined) return { name, uid, gid };
  }
  throw new Error(
    "PostgreSQL cannot run as root, and neither of the accounts postgres and nobody exists. " +
      "Create one (useradd --system postgres) or run as an ordinary user.",
  );
}

/** Returns the options of `Deno.Command` to run a program as `account`. */
export function runAs(
  account: Account | undefined,
): { readonly cwd: string; readonly uid?: number; readonly gid?: number } {
  const cwd = "/"; // the account may not have access to the current directory
  return account === undefined ? { cwd } : { cwd, uid: account.uid, gid: account.gid };
}

/** Whether `account` can access the absolute `path` in the given way, including all its parents. */
export async function isAccessible(
  path: string,
  way: "-r" | "-w" | "-x",
  account: Account | undefined,
): Promise<boolean> {
  const test = new Deno.Command("test", { args: [way, path], ...runAs(account) });
  return (await test.output()).success;
}

async function numericId(flag: "-u" | "-g", name: string): Promise<number | undefined> {
  const { success, stdout } = await new Deno.Command("id", {
    args: [flag, name],
    stderr: "null",
  }).output();
  return success ? Number(new TextDecoder().decode(stdout).trim()) : undefined;
}
