import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parse as parseEnvFile } from "dotenv";
import { parse, parseAllDocuments } from "yaml";

export const KUBERNETES = fileURLToPath(
  new URL("../../../../deploy/kubernetes", import.meta.url),
);

/** What an operator applies. */
export const DEPLOYABLE = ["base", "overlays/cloudnative-pg", "overlays/pgbouncer"] as const;

// deno-lint-ignore no-explicit-any -- the schemas say what is in it, schemas_test.ts holds it to them
export type Manifest = any;

/** Kustomize reads YAML 1.1, where `<<` merges and 0440 is octal. */
const YAML = { version: "1.1" } as const;

/** The documents of a file, which may be a list of patch operations. */
export async function readManifests(file: string): Promise<Manifest[]> {
  return readDocuments(await Deno.readTextFile(join(KUBERNETES, file)));
}

/** As {@linkcode readManifests}, of a text. */
export function readDocuments(text: string): Manifest[] {
  return parseAllDocuments(text, YAML).map((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    return document.toJS();
  });
}

/** Every file below `deploy/kubernetes`, as paths relative to it. */
export async function listFiles(directory = KUBERNETES): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory) files.push(...await listFiles(path));
    else files.push(relative(KUBERNETES, path));
  }
  return files.sort();
}

/** What a `kustomization.yaml` of ours may hold. */
export interface Kustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly patches?: readonly { readonly path: string }[];
  readonly configMapGenerator?: readonly {
    readonly name: string;
    readonly behavior?: "merge";
    readonly envs?: readonly string[];
    readonly literals?: readonly string[];
  }[];
}

export async function readKustomization(directory: string): Promise<Kustomization> {
  return parse(await Deno.readTextFile(join(KUBERNETES, directory, "kustomization.yaml")), YAML);
}

/** The settings that a kustomization ends with: those of what it builds on, then its own. */
export async function settingsOf(directory: string): Promise<Record<string, string>> {
  const { resources = [], components = [], configMapGenerator = [] } = await readKustomization(
    directory,
  );
  const settings: Record<string, string> = {};
  for (const path of [...resources.filter((path) => !path.endsWith(".yaml")), ...components]) {
    Object.assign(settings, await settingsOf(join(directory, path)));
  }
  for (const { envs = [], literals = [] } of configMapGenerator) {
    for (const file of envs) {
      Object.assign(
        settings,
        parseEnvFile(await Deno.readTextFile(join(KUBERNETES, directory, file))),
      );
    }
    Object.assign(settings, parseEnvFile(literals.join("\n")));
  }
  return settings;
}
