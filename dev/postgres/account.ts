/** The operating-system account that PostgreSQL runs as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root, so root needs another account for it:
 * `postgres` where the system has one, else `nobody`. No account is created,
 * because a development tool should not change the machine's list of users.
 *
 * @returns `undefined` for an ordinary user: the server then runs as that user.
 * @throws {Error} When root finds neither account.
 */
export async function serverAccount(): Promise<Account | undefined> {
  if (Deno.uid() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const uid = await numericId("-u", name);
    const gid = await numericId("-g", name);
    if (uid !== undefined && gid !== undefined) return { name, uid, gid };
  }
  throw new Error(
    "PostgreSQL cannot run as root, and neither the account postgres nor nobody exists. " +
      "Create one (useradd --system postgres) or run as an ordinary user.",
  );
}

/** What `Deno.Command` needs to start a program as `account`. */
export function runAs(
  account: Account | undefined,
): { readonly cwd: string; readonly uid?: number; readonly gid?: number } {
  const cwd = "/"; // the current directory may be closed to the account
  return account === undefined ? { cwd } : { cwd, uid: account.uid, gid: account.gid };
}

/** Whether `account` can use `path` (absolute) in the given way; every parent directory counts. */
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
