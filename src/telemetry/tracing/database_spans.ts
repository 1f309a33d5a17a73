import { SpanKind } from "@opentelemetry/api";
import type { DatabaseConfig } from "../../config/mod.ts";
import {
  type DatabaseObserver,
  DEFAULT_DATABASE_NAME,
  type PoolName,
  type PoolObserver,
} from "../../database/mod.ts";
import { fail, type Spans } from "./spans.ts";

/** What is traced. */
export interface TracedDatabase extends Pick<DatabaseConfig, "database" | "schema"> {
  /** The manager's. Default: `postgresql`. */
  readonly name?: string | undefined;
}

/**
 * Creates a span for each operation, with child spans for each wait for a connection and each
 * statement. Only statements are of kind CLIENT, because only they are requests to the server.
 * Background work outside of operations, such as reconnects, has no spans.
 *
 * For a manager with a custom name, `treasury.database.name` contains it, and the names of its pools
 * start with it, because they must be unique in a process.
 *
 * Source of the names: OpenTelemetry semantic conventions, "PostgreSQL client operations".
 */
export function databaseSpans(
  spans: Spans,
  { database, schema, name = DEFAULT_DATABASE_NAME }: TracedDatabase,
): DatabaseObserver {
  const isNamed = name !== DEFAULT_DATABASE_NAME;
  const attributes = {
    "db.system.name": "postgresql",
    "db.namespace": `${database}|${schema}`,
    ...(isNamed && { "treasury.database.name": name }),
  };
  return {
    operation: (operation, run) => spans.run(`database.${operation}`, { attributes }, run),
    pool: (pool) => poolSpans(spans, isNamed ? `${name}-${pool}` : pool, attributes),
  };
}

function poolSpans(
  spans: Spans,
  pool: PoolName | `${string}-${PoolName}`,
  attributes: Readonly<Record<string, string>>,
): PoolObserver {
  const waitAttributes = { ...attributes, "db.client.connection.pool.name": pool };
  const waited = (waitedMs: number) =>
    spans.begin("database.acquire", {
      startTime: Date.now() - waitedMs,
      attributes: waitAttributes,
    });
  return {
    acquired(waitedMs) {
      if (spans.isInside) spans.end(waited(waitedMs));
    },
    acquireFailed(waitedMs, error) {
      if (!spans.isInside) return;
      const span = waited(waitedMs);
      fail(span, error);
      spans.end(span);
    },
    released: () => {},
    opened: () => {},
    openFailed: () => {},
    sending() {
      if (!spans.isInside) return undefined;
      const span = spans.begin("database.statement", { kind: SpanKind.CLIENT, attributes });
      return ({ command, text, host, port, error }) => {
        span.updateName(`${command} ${attributes["db.namespace"]}`);
        span.setAttributes({
          "db.operation.name": command,
          "server.address": host,
          "server.port": port,
          ...(text !== undefined && { "db.query.text": text }),
        });
        if (error !== undefined) fail(span, error);
        spans.end(span);
      };
    },
  };
}
