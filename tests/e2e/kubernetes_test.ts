import assert from "node:assert/strict";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import {
  Health as GrpcHealth,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { getHealth } from "../support/health_client.ts";
import { startPostgres } from "../support/postgres.ts";
import { databaseEnv, startService } from "../support/service.ts";
import { readManifests } from "../unit/deploy/kubernetes/manifests.ts";

Deno.test("Kubernetes' probes: the database decides on readiness alone", async () => {
  const [{ spec }] = await readManifests("base/deployment.yaml");
  const { startupProbe, livenessProbe, readinessProbe } = spec.template.spec.containers[0];
  await using postgres = await startPostgres();
  await postgres.stop();
  await using service = await startService({ env: databaseEnv(postgres) });
  await using sessions = sessionsWith(service.url);
  const client = createClient(
    GrpcHealth,
    createGrpcTransport({ baseUrl: service.url, sessionManager: sessions.manager }),
  );
  const probe = async ({ grpc }: { grpc: { service: string } }) =>
    (await client.check({ service: grpc.service })).status;

  assert.equal(await probe(startupProbe), ServingStatus.SERVING);
  assert.equal(await probe(livenessProbe), ServingStatus.SERVING);
  assert.equal(await probe(readinessProbe), ServingStatus.NOT_SERVING);
  await assert.rejects(
    client.check({ service: "startup" }),
    (error) => ConnectError.from(error).code === Code.NotFound,
    "a name that the service does not know fails the probe",
  );

  await postgres.start();
  await eventually(async () => await probe(readinessProbe) === ServingStatus.SERVING);
  assert.equal(await probe(livenessProbe), ServingStatus.SERVING);
});

Deno.test("the PodMonitor's path has metrics, and on the port that it scrapes", async () => {
  const [{ spec }] = await readManifests("components/prometheus-operator/pod-monitor.yaml");
  const [{ path, port }] = spec.podMetricsEndpoints;
  assert.equal(port, "rpc", "the service's own port, as METRICS_ADDR is not set");
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  assert.match(await (await fetch(`${service.url}${path}`)).text(), /^# TYPE /m);
});

Deno.test("a password rotated in a Secret volume is found, through the volume's links", async () => {
  await using postgres = await startPostgres();
  const { user, password } = postgres.database;
  await using volume = await SecretVolume.mount({ password });
  const { DB_PASSWORD: _, ...env } = databaseEnv(postgres);
  await using service = await startService({
    env: { ...env, DB_PASSWORD_FILE: volume.path("password"), DB_AUTH_RETRY_DELAY: "0.2" },
    secrets: volume.directory,
  });
  await service.logged("database.connected");

  await postgres.admin(`alter role ${user} password 'rotated'`);
  await postgres.stop();
  await postgres.start();
  await eventually(async () =>
    (await getHealth(service.url)).dependencies[0]?.error_code === "AUTHENTICATION_FAILED"
  );
  await volume.update({ password: "rotated" });
  await eventually(async () => (await getHealth(service.url)).status === "HEALTHY");
});

/** A closable HTTP/2 connection. */
function sessionsWith(url: string): AsyncDisposable & { readonly manager: Http2SessionManager } {
  const manager = new Http2SessionManager(url);
  return {
    manager,
    async [Symbol.asyncDispose]() {
      await eventually(() => manager.state() !== "open", { what: "all calls have ended" });
      manager.abort();
    },
  };
}

/**
 * A directory as the kubelet makes it for a Secret: each file is a link into `..data`, which is a
 * link to the directory of one version; an update replaces that link in one step
 * (kubernetes/pkg/volume/util/atomic_writer.go).
 */
class SecretVolume implements AsyncDisposable {
  readonly directory: string;
  #version = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async mount(files: Readonly<Record<string, string>>): Promise<SecretVolume> {
    // Without links in its own path, as /run/secrets is.
    const directory = await Deno.realPath(await Deno.makeTempDir({ prefix: "treasury-secret-" }));
    const volume = new SecretVolume(directory);
    await volume.update(files);
    for (const name of Object.keys(files)) await Deno.symlink(`..data/${name}`, volume.path(name));
    return volume;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  async update(files: Readonly<Record<string, string>>): Promise<void> {
    const version = `..version_${++this.#version}`;
    await Deno.mkdir(this.path(version));
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(join(this.path(version), name), content);
    }
    await Deno.symlink(version, this.path("..data_tmp"));
    await Deno.rename(this.path("..data_tmp"), this.path("..data"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}
