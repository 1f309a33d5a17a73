/**
 * Roles, database and privileges for the service on any PostgreSQL server, by the rule of least
 * privilege.
 *
 * @module
 */
export { asOwner, provision, type ProvisionOptions } from "./provision.ts";
export { verifyService } from "./verify.ts";
