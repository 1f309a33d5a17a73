import assert from "node:assert/strict";
import { type Config, environmentNames, loadConfig } from "../../../../src/config/mod.ts";
import { DEPLOYABLE, listFiles, readManifests, settingsOf } from "./manifests.ts";

const SECRETS = "/run/secrets/treasury/";
const CA = Deno.readTextFileSync(new URL("../../../support/tls/ca.pem", import.meta.url));

/** The service's configuration in a pod: the settings and the files of the mounted secrets. */
async function configOf(directory: string): Promise<Config> {
  const files = new Map([[`${SECRETS}password`, "secret"], [`${SECRETS}ca.crt`, CA]]);
  const readTextFile = (path: string) => {
    const text = files.get(path);
    if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
    return text;
  };
  return loadConfig({ env: await settingsOf(directory), readTextFile });
}

for (const directory of DEPLOYABLE) {
  Deno.test(`Kubernetes: ${directory} has settings that the service knows and takes`, async () => {
    for (const name of Object.keys(await settingsOf(directory))) {
      assert.ok(environmentNames.includes(name), name);
    }
    const { database } = await configOf(directory);
    assert.equal(database.tls.mode, "verify-full");
    assert.equal(database.password?.reveal(), "secret");
    assert.equal(database.passwordFile, `${SECRETS}password`);
    assert.equal(database.migrateOnStart, directory === "base");
  });

  Deno.test(`Kubernetes: the pods of ${directory} have the port of the service`, async () => {
    const { server } = await configOf(directory);
    const [{ spec }] = await readManifests("base/deployment.yaml");
    const [container] = spec.template.spec.containers;
    assert.deepEqual(container.ports, [{ name: "rpc", containerPort: server.port }]);
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      assert.equal(container[probe].grpc.port, server.port, probe);
    }
  });
}

Deno.test("Kubernetes: every variable of a container is a setting", async () => {
  let count = 0;
  for (const file of await listFiles()) {
    if (!file.endsWith(".yaml")) continue;
    for (const manifest of await readManifests(file)) {
      for (const { env = [] } of manifest?.spec?.template?.spec?.containers ?? []) {
        for (const { name } of env) {
          assert.ok(environmentNames.includes(name), `${file}: ${name}`);
          count++;
        }
      }
    }
  }
  assert.ok(count > 0, "the loop found none, so it looks in the wrong place");
});

Deno.test("Kubernetes: the secrets are mounted where the settings and permissions say", async () => {
  const startTask = (await import("../../../../deno.json", { with: { type: "json" } })).default
    .tasks.start.command;
  const readable = /--allow-read=(\S+)/.exec(startTask)![1]!.split(",");
  for (const file of ["base/deployment.yaml", "components/migration/job.yaml"]) {
    const [{ spec }] = await readManifests(file);
    const { containers: [container], volumes: [volume] } = spec.template.spec;
    const [mount] = container.volumeMounts;
    assert.equal(mount.name, volume.name, file);
    assert.equal(`${mount.mountPath}/`, SECRETS, file);
    assert.equal(mount.subPath, undefined, `${file}: a subPath never sees a rotated password`);
    assert.ok(readable.some((path) => mount.mountPath.startsWith(`${path}/`)), file);
    assert.deepEqual(secretPaths(volume.projected.sources), ["password", "ca.crt"], file);
  }
  const [patch] = await readManifests("overlays/cloudnative-pg/server-secrets.yaml");
  assert.deepEqual(secretPaths(patch[0].value), ["password", "ca.crt"]);
  const [job] = await readManifests("overlays/cloudnative-pg/migration.yaml");
  const [volume] = job.spec.template.spec.volumes;
  assert.deepEqual(secretPaths(volume.projected.sources), ["password", "ca.crt"]);
});

function secretPaths(
  sources: readonly { secret: { items: readonly { path: string }[] } }[],
): string[] {
  return sources.flatMap(({ secret }) => secret.items.map(({ path }) => path));
}
