import assert from "node:assert/strict";
import { basename, dirname } from "node:path";
import { testUnless } from "../../../support/requirement.ts";
import {
  DEPLOYABLE,
  KUBERNETES,
  listFiles,
  readDocuments,
  readKustomization,
  readManifests,
} from "./manifests.ts";
import { problemsOf } from "./schemas.ts";

const MISSING = /must have required property/;

for (const file of await listFiles()) {
  if (!file.endsWith(".yaml") || file.endsWith("kustomization.yaml")) continue;
  Deno.test(`Kubernetes: ${file} holds to the schemas`, async () => {
    for (const manifest of await readManifests(file)) {
      if (Array.isArray(manifest)) {
        // A patch by operations has no schema of its own; the build below has its result.
        assert.ok(manifest.every(({ op, path }) => op && path.startsWith("/")), file);
        continue;
      }
      // A patch by merging is a part of a manifest.
      const problems = problemsOf(manifest);
      const isWhole = !await isPatch(file);
      assert.deepEqual(problems.filter((problem) => isWhole || !MISSING.test(problem)), []);
    }
  });
}

/** Whether a kustomization merges it into another file's manifest of the same name. */
async function isPatch(file: string): Promise<boolean> {
  const { patches = [] } = await readKustomization(dirname(file));
  return patches.some(({ path }) => path === basename(file));
}

const kustomize = await findKustomize();
const noKustomize = kustomize ? undefined : "needs kustomize, alone or within kubectl";

for (const directory of DEPLOYABLE) {
  testUnless(
    noKustomize,
    `Kubernetes: the build of ${directory} holds to the schemas`,
    async () => {
      const manifests = readDocuments(await build(directory));
      assert.ok(manifests.length >= 7);
      for (const manifest of manifests) {
        assert.deepEqual(problemsOf(manifest), [], manifest.kind);
      }
      const kinds = manifests.map(({ kind }) => kind);
      assert.equal(kinds.includes("Job"), directory !== "base");
      assert.equal(kinds.includes("Pooler"), directory === "overlays/pgbouncer");
    },
  );
}

Deno.test("Kubernetes: the schemas find wrong values and fields that do not exist", async () => {
  const [deployment] = await readManifests("base/deployment.yaml");
  const { spec } = deployment.spec.template;
  spec.terminationGracePeriodSeconds = "long";
  assert.match(problemsOf(deployment).join(), /terminationGracePeriodSeconds must be integer/);
  spec.terminationGracePeriodSeconds = 1;
  spec.securityContext.runAsNonroot = true;
  assert.deepEqual(problemsOf(deployment), [
    "/spec/template/spec/securityContext/runAsNonroot is not a field",
  ]);
});

async function build(directory: string): Promise<string> {
  const [program, ...args] = kustomize!;
  const { success, stdout, stderr } = await new Deno.Command(program!, {
    args: [...args, `${KUBERNETES}/${directory}`],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Kustomize by itself or within kubectl, if this machine has one. */
async function findKustomize(): Promise<string[] | undefined> {
  for (const command of [["kustomize", "build"], ["kubectl", "kustomize"]]) {
    try {
      const [program, subcommand] = command as [string, string];
      const { success } = await new Deno.Command(program, { args: [subcommand, "--help"] })
        .output();
      if (success) return command;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}
