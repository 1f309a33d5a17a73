import { SpanKind } from "@opentelemetry/api";
import type { DatabaseConfig } from "../../config/mod.ts";
import type { DatabaseObserver, PoolName, PoolObserver } from "../../database/mod.ts";
import { fail, type Spans } from "./spans.ts";

/** What is traced. */
export type TracedDatabase = Pick<DatabaseConfig, "database" | "schema">;

/**
 * Makes a span of each operation, and inside of it of each wait for a connection and each statement.
 * Only statements are of kind CLIENT: they alone go to the server, and are not to be counted twice.
 * Nothing is told of work that no operation waits for, such as the recovery's.
 *
 * Source of the names: OpenTelemetry semantic conventions, "PostgreSQL client operations".
 */
export function databaseSpans(
  spans: Spans,
  { database, schema }: TracedDatabase,
): DatabaseObserver {
  const namespace = `${database}|${schema}`;
  const attributes = { "db.system.name": "postgresql", "db.namespace": namespace };
  return {
    operation: (name, run) => spans.run(`database.${name}`, { attributes }, run),
    pool: (name) => poolSpans(spans, name, attributes),
  };
}

function poolSpans(
  spans: Spans,
  pool: PoolName,
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
