/** SQLSTATE classes of PostgreSQL (PostgreSQL documentation, appendix A). */
const CLASSES: ReadonlySet<string> = new Set(
  ("03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 " +
    "53 54 55 57 58 72 F0 HV P0 XX").split(" "),
);

/**
 * Returns the class of an SQLSTATE, its first two characters, as a label value; `none` without one.
 * Functions in the database can raise any SQLSTATE, so unknown classes become `other`.
 */
export function sqlStateClass(sqlState: string | undefined): string {
  if (sqlState === undefined) return "none";
  const sqlClass = sqlState.slice(0, 2);
  return CLASSES.has(sqlClass) ? sqlClass : "other";
}
