import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import denoJson from "../../../../deno.json" with { type: "json" };
import { loadConfig } from "../../../../src/config/mod.ts";
import { DATABASE_CLOSE_TIMEOUT_MS } from "../../../../src/process.ts";
import {
  DEPLOYABLE,
  KUBERNETES,
  listFiles,
  type Manifest,
  readKustomization,
  readManifests,
  settingsOf,
} from "./manifests.ts";

/** PostgreSQL's defaults: max_connections 100, superuser_reserved_connections 3. */
const RESERVED = 3;
const SERVER_DEFAULT = 100 - RESERVED;

async function podsOf(): Promise<[file: string, pod: Manifest][]> {
  const files = ["base/deployment.yaml", "components/migration/job.yaml"];
  return await Promise.all(files.map(async (file): Promise<[string, Manifest]> => {
    const [{ spec }] = await readManifests(file);
    return [file, spec.template.spec];
  }));
}

Deno.test("Kubernetes: kustomizations name files that exist, and every file is named", async () => {
  const files = await listFiles();
  const named = new Set<string>();
  for (const file of files.filter((file) => file.endsWith("kustomization.yaml"))) {
    const directory = dirname(file);
    const { resources = [], components = [], patches = [], configMapGenerator = [] } =
      await readKustomization(directory);
    const generated = configMapGenerator.flatMap(({ envs = [] }) => envs);
    const patched = patches.map(({ path }) => path);
    for (const path of [...resources, ...components, ...generated, ...patched]) {
      const target = normalize(join(directory, path));
      const { isDirectory } = await Deno.stat(join(KUBERNETES, target));
      named.add(isDirectory ? `${target}/kustomization.yaml` : target);
    }
  }
  const roots = DEPLOYABLE.map((directory) => `${directory}/kustomization.yaml`);
  const optional = "components/prometheus-operator/kustomization.yaml";
  assert.deepEqual(files.filter((file) => !named.has(file)), [
    ...[...roots.filter((root) => !named.has(root)), optional].sort(),
  ]);
});

Deno.test("Kubernetes: a pod has the time that a shutdown takes", async () => {
  const [[, pod]] = await podsOf() as [[string, Manifest]];
  const { server } = loadConfig({ env: { DB_HOST: "db", ...await shutdownSetting() } });
  const needed = pod.containers[0].lifecycle.preStop.sleep.seconds * 1000 +
    server.shutdownTimeoutMs + DATABASE_CLOSE_TIMEOUT_MS;
  const grace = pod.terminationGracePeriodSeconds * 1000;
  assert.ok(grace > needed, `${grace} ms are not more than ${needed} ms`);
  assert.ok(grace <= needed + 5_000, "a frozen pod is not to be waited for much longer");
});

async function shutdownSetting(): Promise<Record<string, string>> {
  const { SHUTDOWN_TIMEOUT } = await settingsOf("base");
  return SHUTDOWN_TIMEOUT === undefined ? {} : { SHUTDOWN_TIMEOUT };
}

Deno.test("Kubernetes: pods have no right that they do not need", async () => {
  const image = await Deno.readTextFile(join(KUBERNETES, "../../Dockerfile"));
  assert.match(image, /^USER deno$/m, "the manifests have the number of another user");
  for (const [file, pod] of await podsOf()) {
    const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext;
    assert.equal(runAsNonRoot, true, file);
    assert.equal(runAsUser, 1993, `${file}: the user deno of the image denoland/deno`);
    assert.equal(seccompProfile.type, "RuntimeDefault", file);
    assert.equal(pod.automountServiceAccountToken, false, file);
    assert.equal(pod.enableServiceLinks, false, file);
    for (const container of pod.containers) {
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      }, file);
      assert.equal(container.image, `treasury-service:${denoJson.version}`, file);
    }
  }
});

Deno.test("Kubernetes: the migration Job runs a task that is in the image", async () => {
  const [{ spec }] = await readManifests("components/migration/job.yaml");
  const [task, ...args] = spec.template.spec.containers[0].args as [keyof typeof denoJson.tasks];
  const command = denoJson.tasks[task];
  assert.match(typeof command === "string" ? command : command.command, /^deno run .*src\//);
  assert.deepEqual(args, ["up"]);
});

Deno.test("Kubernetes: the Service, the budget and the monitor select the server's pods only", async () => {
  const [deployment] = await readManifests("base/deployment.yaml");
  const [job] = await readManifests("components/migration/job.yaml");
  const [service] = await readManifests("base/service.yaml");
  const [budget] = await readManifests("base/pod-disruption-budget.yaml");
  const [monitor] = await readManifests("components/prometheus-operator/pod-monitor.yaml");
  const [policy] = await readManifests("base/network-policy.yaml");
  const server = deployment.spec.template.metadata.labels;
  const migration = job.spec.template.metadata.labels;
  const selectors = [
    service.spec.selector,
    budget.spec.selector.matchLabels,
    monitor.spec.selector.matchLabels,
    deployment.spec.selector.matchLabels,
  ];
  for (const selector of selectors) {
    assert.ok(selects(selector, server) && !selects(selector, migration), selector);
  }
  const { matchLabels } = policy.spec.podSelector;
  assert.ok(selects(matchLabels, server) && selects(matchLabels, migration));

  const ports = deployment.spec.template.spec.containers[0].ports.map(
    ({ name }: { name: string }) => name,
  );
  const used = [
    ...service.spec.ports.map(({ targetPort }: Manifest) => targetPort),
    ...policy.spec.ingress[0].ports.map(({ port }: Manifest) => port),
    ...monitor.spec.podMetricsEndpoints.map(({ port }: Manifest) => port),
  ];
  for (const port of used) assert.ok(ports.includes(port), port);
});

function selects(selector: Record<string, string>, labels: Record<string, string>): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value);
}

async function mostConnections(directory: string, maxReplicas: number): Promise<number> {
  const [{ spec }] = await readManifests("base/deployment.yaml");
  const { DB_MAX_CONNECTIONS, DB_SERVICE_INSTANCES } = await settingsOf(directory);
  assert.equal(Number(DB_SERVICE_INSTANCES), maxReplicas + spec.strategy.rollingUpdate.maxSurge);
  return Number(DB_SERVICE_INSTANCES) * Number(DB_MAX_CONNECTIONS);
}

Deno.test("Kubernetes: all replicas together find a connection for each of theirs", async () => {
  const [{ spec: { maxReplicas } }] = await readManifests("base/horizontal-pod-autoscaler.yaml");
  assert.ok(await mostConnections("base", maxReplicas) <= SERVER_DEFAULT);

  const [{ spec: cluster }] = await readManifests("overlays/cloudnative-pg/cluster.yaml");
  const slots = Number(cluster.postgresql.parameters.max_connections) - RESERVED;
  assert.ok(await mostConnections("overlays/cloudnative-pg", maxReplicas) <= slots);

  const [autoscaler] = await readManifests("overlays/pgbouncer/horizontal-pod-autoscaler.yaml");
  const most = await mostConnections("overlays/pgbouncer", autoscaler.spec.maxReplicas);
  for (const { spec } of await readManifests("overlays/pgbouncer/poolers.yaml")) {
    const { max_client_conn, default_pool_size } = spec.pgbouncer.parameters;
    assert.ok(most <= Number(max_client_conn), "one PgBouncer alone can take them all");
    assert.ok(spec.instances * Number(default_pool_size) <= slots);
  }
});

Deno.test("Kubernetes: overlays connect to what they create", async () => {
  const [cluster] = await readManifests("overlays/cloudnative-pg/cluster.yaml");
  const { name } = cluster.metadata;
  const settings = await settingsOf("overlays/cloudnative-pg");
  assert.equal(settings.DB_HOST, `${name}-rw`);
  assert.equal(settings.DB_READ_HOSTS, `${name}-ro`);
  const { initdb } = cluster.spec.bootstrap;
  assert.equal(initdb.database, settings.DB_NAME);
  const [role] = cluster.spec.managed.roles;
  assert.equal(role.name, settings.DB_USER);
  const [migration] = await readManifests("overlays/cloudnative-pg/migration.yaml");
  assert.deepEqual(migration.spec.template.spec.containers[0].env, [
    { name: "DB_USER", value: initdb.owner },
  ]);

  const poolers = await readManifests("overlays/pgbouncer/poolers.yaml");
  const names = poolers.map(({ metadata }) => metadata.name);
  const pooled = await settingsOf("overlays/pgbouncer");
  assert.deepEqual([pooled.DB_HOST, pooled.DB_READ_HOSTS], names);
  assert.deepEqual(poolers.map(({ spec }) => spec.type), ["rw", "ro"]);
  assert.ok(poolers.every(({ spec }) => spec.cluster.name === name));
  const [{ spec: { certificates } }] = await readManifests("overlays/pgbouncer/cluster.yaml");
  assert.deepEqual(certificates.serverAltDNSNames, names);
});
