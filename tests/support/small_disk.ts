import { join } from "node:path";
import { serverAccount } from "../../dev/postgres/account.ts";
import { whyNotRoot } from "./requirement.ts";

const BLOCK = new Uint8Array(64 * 1024);

/** Why no small disk can be made here; undefined when one can. */
export function whyNoSmallDisk(): string | undefined {
  if (Deno.build.os !== "linux") return "needs Linux, which has tmpfs";
  return whyNotRoot();
}

/** A real file system that is soon full, for tablespaces of an embedded server. */
export class SmallDisk implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async mount(bytes: number): Promise<SmallDisk> {
    const path = await Deno.makeTempDir({ prefix: "treasury-disk-" });
    const account = await serverAccount();
    const owner = account === undefined ? "" : `,uid=${account.uid},gid=${account.gid}`;
    await run("mount", ["-t", "tmpfs", "-o", `size=${bytes}${owner}`, "tmpfs", path]);
    return new SmallDisk(path);
  }

  /** Leaves no byte for anybody else. */
  async fill(): Promise<void> {
    using file = await Deno.open(this.#ballast, { create: true, append: true });
    // The last write can be a part of what it was asked for.
    while (await file.write(BLOCK).catch(isFull) === BLOCK.length);
  }

  /** Undoes {@linkcode fill}. */
  async free(): Promise<void> {
    await Deno.remove(this.#ballast);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", [this.path]);
    await Deno.remove(this.path);
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }
}

function isFull(error: Error & { code?: string }): undefined {
  if (error.code !== "ENOSPC") throw error;
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}
