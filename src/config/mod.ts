/**
 * The configuration of the service: what can be set, and how it is read and checked.
 *
 * @module
 */
export * from "./config.ts";
export { ConfigError, type ConfigProblem } from "./config_error.ts";
export { loadAdminConfig } from "./admin.ts";
export { loadConfig } from "./load.ts";
export { asMigrator } from "./roles.ts";
export { passwordInFile } from "./password.ts";
export { databaseNaming, isDatabaseConfigured, type PlaceOptions } from "./places.ts";
export { readTlsMaterial } from "./server_tls.ts";
export { Secret } from "./secret.ts";
export { type SettingInUse, settingsInUse } from "./settings_in_use.ts";
export { environmentNames, type Setting, type SettingGroup, settingGroups } from "./settings.ts";
