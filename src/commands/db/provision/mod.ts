/**
 * Creates roles, database and privileges for the service on any PostgreSQL server, following the
 * principle of least privilege.
 *
 * @module
 */
export { asOwner, provision, type ProvisionOptions } from "./provision.ts";
export { verifyService } from "./verify.ts";
