import { Cluster } from "@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Cluster";
import { Pooler } from "@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Pooler";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { Job } from "kubernetes-models/batch/v1/Job";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Service } from "kubernetes-models/v1/Service";
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import type { Manifest } from "./manifests.ts";

/** A kind of object, with its JSON schema as compiled by Ajv behind `validate`. */
interface Model {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly prototype: { validate(): void };
}

const models: readonly Model[] = [
  Cluster,
  ConfigMap,
  Deployment,
  HorizontalPodAutoscaler,
  Job,
  NetworkPolicy,
  PodDisruptionBudget,
  PodMonitor,
  Pooler,
  Service,
  ServiceAccount,
];

/** What the API server would refuse with `--validate=strict`, unknown fields included. */
export function problemsOf(manifest: Manifest): string[] {
  const { apiVersion, kind } = manifest;
  const model = models.find((one) => one.apiVersion === apiVersion && one.kind === kind);
  if (model === undefined) return [`${apiVersion} ${kind}: there is no schema for it here`];
  const problems: string[] = [];
  const unread = new Set<string>();
  try {
    // Called on the bare manifest, as a model's constructor would read all of its fields.
    model.prototype.validate.call(watchReads(manifest, "", unread));
  } catch (error) {
    if (!(error instanceof Error && "errors" in error)) throw error;
    const errors = error.errors as { instancePath: string; message: string }[];
    problems.push(...errors.map(({ instancePath, message }) => `${instancePath} ${message}`));
  }
  // Ajv's code reads each field that the schema knows, and no other.
  return [...problems, ...[...unread].map((path) => `${path} is not a field`)];
}

/** A copy of the value that takes the path of each field out of `unread` when it is read. */
function watchReads(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [] : {};
  for (const [key, field] of Object.entries(value)) {
    if (!Array.isArray(value)) unread.add(`${path}/${key}`);
    Reflect.set(copy, key, watchReads(field, `${path}/${key}`, unread));
  }
  return new Proxy(copy, {
    get(target, key) {
      unread.delete(`${path}/${String(key)}`);
      return Reflect.get(target, key);
    },
  });
}
