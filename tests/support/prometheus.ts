import { join } from "node:path";
import { findFreePort } from "../../dev/postgres/free_port.ts";
import { eventually } from "./condition.ts";
import { findProgram, testUnless, whyNoProgram } from "./requirement.ts";
import { ROOT } from "./service.ts";

/** The folder that Prometheus is given. */
export const RULES = join(ROOT, "deploy/prometheus");

/** Declares a test that needs the program; where there is none, it is ignored and says why. */
export function prometheusTest(
  name: string,
  program: "prometheus" | "promtool",
  run: (path: string) => Promise<void>,
): void {
  testUnless(whyNoProgram(program, "prometheus"), name, () => run(findProgram(program)!));
}

/** An alert that Prometheus has at the moment. */
export interface Alert {
  readonly state: "pending" | "firing";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A series of an answer. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/**
 * Starts a real Prometheus that scrapes the service five times a second. Its rules are the ones
 * that are deployed, but nothing has to hold for longer than a second.
 */
export async function startPrometheus(path: string, target: string): Promise<TestPrometheus> {
  const folder = await Deno.makeTempDir({ prefix: "treasury-test-prometheus-" });
  for (const file of ["alerts.yml", "recording_rules.yml"]) {
    const rules = await Deno.readTextFile(join(RULES, file));
    await Deno.writeTextFile(join(folder, file), rules.replace(/for: \S+/g, "for: 1s"));
  }
  await Deno.writeTextFile(
    join(folder, "prometheus.yml"),
    `global: { scrape_interval: 200ms, evaluation_interval: 200ms }
rule_files: [alerts.yml, recording_rules.yml]
scrape_configs:
  - job_name: treasury-service
    scrape_timeout: 200ms
    static_configs: [{ targets: ["${target}"] }]
`,
  );
  const address = `127.0.0.1:${await findFreePort()}`;
  const child = new Deno.Command(path, {
    args: [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
      "--log.level=error",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const prometheus = new TestPrometheus(child, folder, `http://${address}`);
  try {
    await eventually(() => prometheus.isReady(), { what: "Prometheus is ready" });
    return prometheus;
  } catch (error) {
    await prometheus[Symbol.asyncDispose]();
    throw error;
  }
}

/** A running Prometheus. Disposing it leaves no process and no file behind. */
export class TestPrometheus implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #url: string;

  constructor(child: Deno.ChildProcess, folder: string, url: string) {
    this.#child = child;
    this.#folder = folder;
    this.#url = url;
  }

  async isReady(): Promise<boolean> {
    const response = await fetch(`${this.#url}/-/ready`);
    await response.body?.cancel();
    return response.ok;
  }

  /** The alerts of this name that are pending or firing. */
  async alerts(name: string): Promise<readonly Alert[]> {
    const { alerts } = await this.#get<{ alerts: readonly Alert[] }>("alerts");
    return alerts.filter(({ labels }) => labels.alertname === name);
  }

  /** @throws {Error} When the expression is wrong. */
  async query(expression: string): Promise<readonly Series[]> {
    const { result } = await this.#get<{ result: readonly Series[] }>(
      `query?query=${encodeURIComponent(expression)}`,
    );
    return result;
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const { status, data, error } = await response.json();
    if (status !== "success") throw new Error(`Prometheus refused ${path}: ${error}`);
    return data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
