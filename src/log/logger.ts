import { type Logger as PinoLogger, pino } from "pino";
import { prettyFactory } from "pino-pretty";
import type { LogConfig } from "../config/mod.ts";
import { REDACTED, Redactor, SECRET_FIELDS } from "./redact.ts";

/** A structured logger: `logger.info({ event: "database.connected" }, "message")`. */
export type Logger = PinoLogger;

/** What {@linkcode createLogger} needs besides the configured level and format. */
export interface LoggerOptions {
  readonly version: string;
  /** Knows what no line may contain, as the second wall behind the `Secret` type. */
  readonly redactor?: Redactor | undefined;
  /** More fields for each record, such as the ids of a trace. */
  readonly fields?: (() => Record<string, string>) | undefined;
  /** Where lines go; default: standard output. */
  readonly destination?: { write(line: string): void };
}

/** Creates the logger of this process: JSON lines, or lines for people with `format: "pretty"`. */
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

/** Unlike pino-pretty's stream this writes at once, so that nothing is lost when the process exits. */
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
