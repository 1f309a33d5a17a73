import assert from "node:assert/strict";
import { parse as parseEnvFile } from "dotenv";
import { parse } from "yaml";
import { loadConfig } from "../../../../src/config/mod.ts";
import { type Manifest, readManifests } from "./manifests.ts";

const MANIFESTS: Readonly<Record<string, string>> = {
  Deployment: "base/deployment.yaml",
  NetworkPolicy: "base/network-policy.yaml",
  PodMonitor: "components/prometheus-operator/pod-monitor.yaml",
};

Deno.test("Kubernetes: the documented port for metrics alone fits the manifests", async () => {
  const documentation = await Deno.readTextFile(
    new URL("../../../../docs/kubernetes.md", import.meta.url),
  );
  const [, text] = /^## Metrics on a separate port.*?^```yaml\n(.*?)^```/ms
    .exec(documentation)!;
  const { configMapGenerator: [{ name, literals }], patches } = parse(text!) as Manifest;
  assert.equal(name, "treasury-settings");
  const { metrics } = loadConfig({ env: { DB_HOST: "db", ...parseEnvFile(literals.join("\n")) } });
  const values: Record<string, Manifest> = {};
  for (const { target: { kind, name }, patch } of patches) {
    const [manifest] = await readManifests(MANIFESTS[kind]!);
    assert.equal(manifest.metadata.name, name);
    const [{ op, path, value }] = parse(patch);
    assert.notEqual(at(manifest, op === "add" ? path.replace(/\/-$/, "") : path), undefined, path);
    values[kind] = value;
  }
  const { containerPort, name: portName } = values.Deployment;
  assert.equal(containerPort, metrics.address?.port);
  assert.equal(values.NetworkPolicy.ports[0].port, portName);
  assert.equal(values.PodMonitor, portName);
});

/** What a JSON pointer (RFC 6901) leads to. */
function at(manifest: Manifest, path: string): Manifest {
  return path.split("/").slice(1).reduce((value, key) => value?.[key], manifest);
}
