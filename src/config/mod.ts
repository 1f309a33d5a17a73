/**
 * The configuration of the service: its settings, and how they are read and validated.
 *
 * @module
 */
export * from "./config.ts";
export { ConfigError, type ConfigProblem } from "./config_error.ts";
export { ConfigSource, databaseNaming, loadConfig, type SettingInUse } from "./config_source.ts";
export { databaseConfig, type DatabaseOverrides } from "./database_config.ts";
export type { ReadTextFile } from "./files.ts";
export { asMigrator } from "./roles.ts";
export { passwordInFile } from "./password.ts";
export type { ConfigSourceOptions } from "./places.ts";
export { readTlsMaterial } from "./server_tls.ts";
export { Secret } from "./secret.ts";
export type { TextSchema, ValueType } from "./values/value_type.ts";
export { type ConnectionParameter, connectionParameters } from "./connection_uri.ts";
export { environmentNames, type Setting, type SettingGroup, settingGroups } from "./settings.ts";
