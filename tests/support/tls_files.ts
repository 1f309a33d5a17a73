import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Path of a file of tests/support/tls. */
export function tlsPath(name: string): string {
  return fileURLToPath(new URL(`tls/${name}.pem`, import.meta.url));
}

/** Text of a file of tests/support/tls. */
export function pem(name: string): string {
  return Deno.readTextFileSync(tlsPath(name));
}

/** What a {@linkcode TlsFolder} holds: PEM text by name, such as `cert`, `key` and `ca`. */
export type Texts = Readonly<Record<string, string>>;

/** How the files of a {@linkcode TlsFolder} come to have other content. */
export type WayOfWriting = "overwrite" | "rename" | "kubernetes" | "certbot";

export const WAYS_OF_WRITING: readonly WayOfWriting[] = [
  "overwrite",
  "rename",
  "kubernetes",
  "certbot",
];

/** A folder whose files are replaced as the programs that care for certificates do it. */
export class TlsFolder implements AsyncDisposable {
  readonly path: string;
  readonly #way: WayOfWriting;
  #version = 0;

  private constructor(path: string, way: WayOfWriting) {
    this.path = path;
    this.#way = way;
  }

  static async create(way: WayOfWriting, texts: Texts): Promise<TlsFolder> {
    const folder = new TlsFolder(await Deno.makeTempDir(), way);
    await folder.write(texts);
    return folder;
  }

  file(name: string): string {
    return join(this.path, `${name}.pem`);
  }

  async write(texts: Texts): Promise<void> {
    this.#version++;
    if (this.#way === "kubernetes") return await this.#swapFolder(texts);
    for (const [name, text] of Object.entries(texts)) {
      if (this.#way === "overwrite") await Deno.writeTextFile(this.file(name), text);
      else if (this.#way === "rename") await this.#rename(name, text);
      else await this.#link(name, text);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }

  async #rename(name: string, text: string): Promise<void> {
    const temporary = join(this.path, `.${name}.new`);
    await Deno.writeTextFile(temporary, text);
    await Deno.rename(temporary, this.file(name));
  }

  /** As certbot: each file is a link, which is made again. */
  async #link(name: string, text: string): Promise<void> {
    const archived = `${name}${this.#version}.txt`;
    await Deno.writeTextFile(join(this.path, archived), text);
    if (this.#version > 1) await Deno.remove(this.file(name));
    await Deno.symlink(archived, this.file(name));
  }

  /** As the volumes of Kubernetes: files are links into `..data`, a link that is replaced at once. */
  async #swapFolder(texts: Texts): Promise<void> {
    const inside = (name: string) => join(this.path, name);
    const folder = `..${this.#version}`;
    await Deno.mkdir(inside(folder));
    for (const [name, text] of Object.entries(texts)) {
      await Deno.writeTextFile(inside(join(folder, `${name}.pem`)), text);
    }
    await Deno.symlink(folder, inside("..data_tmp"));
    await Deno.rename(inside("..data_tmp"), inside("..data"));
    if (this.#version > 1) {
      return await Deno.remove(inside(`..${this.#version - 1}`), { recursive: true });
    }
    for (const name of Object.keys(texts)) {
      await Deno.symlink(join("..data", `${name}.pem`), this.file(name));
    }
  }
}
