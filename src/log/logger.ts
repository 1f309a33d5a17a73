import { type Logger as PinoLogger, pino } from "pino";
import { prettyFactory } from "pino-pretty";
import type { LogConfig } from "../config/mod.ts";
import { REDACTED, Redactor, SECRET_FIELDS } from "./redact.ts";

/** A structured logger: `logger.info({ event: "database.connected" }, "message")`. */
export type Logger = PinoLogger;

/** What {@linkcode createLogger} adds to records, removes from them, and writes them to. */
export interface LoggerOptions {
  /** Version of the service, in each record. */
  readonly version: string;
  /** Removes secrets from lines, in addition to the `Secret` type. Default: credentials in URLs only. */
  readonly redactor?: Redactor | undefined;
  /** Additional fields of each record, such as trace ids. Default: none. */
  readonly fields?: (() => Record<string, string>) | undefined;
  /** Default: standard output. */
  readonly destination?: { write(line: string): void };
}

/** Creates the logger of this process: JSON lines, or human-readable ones with `format: "pretty"`. */
export function createLogger(config: LogConfig, options: LoggerOptions): Logger {
  const { fields, redactor = new Redactor() } = options;
  const colorize = options.destination === undefined && Deno.stdout.isTerminal() && !Deno.noColor;
  const destination = options.destination ?? pino.destination({ fd: 1, sync: true });
  return pino({
    level: config.level,
    base: { service: "treasury-service", version: options.version },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    redact: { paths: [...SECRET_FIELDS], censor: REDACTED },
    hooks: { streamWrite: (line) => redactor.redact(line) },
    ...(fields !== undefined && { mixin: fields }),
  }, config.format === "pretty" ? prettified(destination, colorize) : destination);
}

/** Unlike the stream of pino-pretty, this writes at once, so that no record is lost on exit. */
function prettified(
  destination: { write(line: string): void },
  colorize: boolean,
): { write(line: string): void } {
  const prettify = prettyFactory({
    colorize,
    ignore: "service,version,event",
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return { write: (line) => destination.write(prettify(line)) };
}
