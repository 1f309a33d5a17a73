import assert from "node:assert/strict";
import { parse as parseEnvFile } from "dotenv";
import denoJson from "../../../../deno.json" with { type: "json" };
import { loadConfig } from "../../../../src/config/mod.ts";
import { PROBE_PATHS } from "../../../../src/server/probes.ts";
import { pem } from "../../../support/tls_files.ts";
import { type Manifest, readDocuments, readManifests } from "./manifests.ts";

/** What the files of the secret hold, by their names in it. */
const SECRET: Readonly<Record<string, string>> = {
  "tls.crt": pem("server"),
  "tls.key": pem("server-key"),
  "ca.crt": pem("ca"),
};

Deno.test("Kubernetes: the documented TLS fits the manifests, the settings and the probes", async () => {
  const documentation = await Deno.readTextFile(
    new URL("../../../../docs/kubernetes.md", import.meta.url),
  );
  const [, chapter] = /^## TLS\n(.*?)^## /ms.exec(documentation)!;
  const [certificate, kustomization] = Array.from(
    chapter!.matchAll(/^```yaml\n(.*?)^```/gms),
    ([, text]) => readDocuments(text!)[0],
  );
  const [deployment] = await readManifests("base/deployment.yaml");
  const { configMapGenerator: [{ name, literals }], patches: [{ target, patch }] } = kustomization;
  assert.equal(name, "treasury-settings");
  assert.equal(target.name, deployment.metadata.name);
  for (const operation of readDocuments(patch)[0]) apply(deployment, operation);

  const { containers: [container], volumes } = deployment.spec.template.spec;
  const { secret } = volumes.find(({ name }: Manifest) => name === "tls");
  assert.equal(secret.secretName, certificate.spec.secretName);
  const { mountPath, subPath } = container.volumeMounts.find(({ name }: Manifest) =>
    name === "tls"
  );
  assert.equal(subPath, undefined);
  const readable = /--allow-read=(\S+)/.exec(denoJson.tasks.start.command)![1]!.split(",");
  assert.ok(readable.some((path) => mountPath.startsWith(`${path}/`)));

  const { tls } = loadConfig({
    env: { DB_HOST: "db", ...parseEnvFile(literals.join("\n")) },
    readTextFile: (path) => SECRET[path.replace(`${mountPath}/`, "")]!,
  }).server;
  assert.deepEqual([tls?.cert, tls?.clientCa], [SECRET["tls.crt"], SECRET["ca.crt"]]);
  assert.equal(tls?.clientAuth, "require-except-probes");
  for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
    const { grpc, httpGet } = container[probe];
    assert.equal(grpc, undefined, probe);
    assert.equal(httpGet.scheme, "HTTPS", probe);
    assert.ok(PROBE_PATHS.has(httpGet.path), probe);
  }
});

/** The part of JSON Patch (RFC 6902) that is used here. */
function apply(manifest: Manifest, { op, path, value }: Manifest): void {
  const keys = path.split("/").slice(1);
  const last = keys.pop();
  const parent = keys.reduce((value: Manifest, key: string) => value[key], manifest);
  if (op === "remove") {
    assert.notEqual(parent[last], undefined, path);
    delete parent[last];
  } else if (last === "-") parent.push(value);
  else parent[last] = value;
}
