/**
 * Structured log lines: what they look like, what they never contain, and how many of a kind.
 *
 * @module
 */
export { RecordLimit, type RecordLimitOptions, type RecordWeight } from "./record_limit.ts";
export { Redactor } from "./redact.ts";
export { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
