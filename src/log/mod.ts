/**
 * Structured logging: format, redaction of secrets, and rate limits.
 *
 * @module
 */
export { RecordLimit, type RecordLimitOptions, type RecordWeight } from "./record_limit.ts";
export { Redactor } from "./redact.ts";
export { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
