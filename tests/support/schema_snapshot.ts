import type { TestPostgres } from "./postgres.ts";

/** One line for each thing in a schema, in an order of its own. */
export type SchemaSnapshot = readonly string[];

/** Where migrations keep their books: not part of the schema. */
const BOOKS = ["schema_migrations", "schema_migrations_log"];

/**
 * Describes everything that a migration can make in a database: what `pg_dump --schema-only` would
 * say, by the catalogs, as the embedded server has no pg_dump.
 */
export async function snapshotSchema(server: TestPostgres): Promise<SchemaSnapshot> {
  const rows = await server.admin<{ line: string }>(`${QUERIES.join("\nunion all\n")} order by 1`);
  return rows.map(({ line }) => line);
}

/** Schemas of the service's, and the objects of extensions left out. */
const OWN = (oid: string, catalog: string) =>
  `n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (
    select from pg_depend d
    where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.deptype = 'e')`;

const NOT_BOOKS = `c.relname <> all (array['${BOOKS.join("', '")}'])`;

const QUERIES = [
  `select format('schema %s owner %s acl %s', nspname, nspowner::regrole, nspacl) as line
   from pg_namespace n where ${OWN("n.oid", "pg_namespace")}`,
  `select format('relation %s.%s kind %s owner %s acl %s rls %s options %s view %s', nspname, relname,
     relkind, relowner::regrole, relacl, relrowsecurity, reloptions,
     case when relkind in ('v', 'm') then pg_get_viewdef(c.oid) end)
   from pg_class c join pg_namespace n on n.oid = relnamespace
   where relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c') and ${NOT_BOOKS} and ${
    OWN("c.oid", "pg_class")
  }`,
  `select format('column %s.%s.%s %s %s null %s default %s identity %s generated %s acl %s', nspname,
     relname, attnum, attname, format_type(atttypid, atttypmod), not attnotnull,
     pg_get_expr(adbin, adrelid), attidentity, attgenerated, attacl)
   from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
     left join pg_attrdef on adrelid = attrelid and adnum = attnum
   where attnum > 0 and not attisdropped and relkind in ('r', 'p', 'v', 'm', 'f', 'c')
     and ${NOT_BOOKS} and ${OWN("c.oid", "pg_class")}`,
  `select format('index %s valid %s', pg_get_indexdef(i.indexrelid), indisvalid)
   from pg_index i join pg_class c on c.oid = indrelid join pg_namespace n on n.oid = relnamespace
   where ${NOT_BOOKS} and ${OWN("c.oid", "pg_class")}`,
  `select format('constraint %s.%s %s %s', nspname, coalesce(c.relname, t.typname), conname,
     pg_get_constraintdef(k.oid))
   from pg_constraint k join pg_namespace n on n.oid = connamespace
     left join pg_class c on c.oid = conrelid left join pg_type t on t.oid = contypid
   where (c.relname is null or ${NOT_BOOKS}) and ${OWN("k.oid", "pg_constraint")}`,
  `select format('trigger %s enabled %s', pg_get_triggerdef(g.oid), tgenabled)
   from pg_trigger g join pg_class c on c.oid = tgrelid join pg_namespace n on n.oid = relnamespace
   where not tgisinternal and ${OWN("c.oid", "pg_class")}`,
  `select format('routine %s owner %s acl %s', case prokind when 'a' then p.oid::regprocedure::text
     else pg_get_functiondef(p.oid) end, proowner::regrole, proacl)
   from pg_proc p join pg_namespace n on n.oid = pronamespace where ${OWN("p.oid", "pg_proc")}`,
  `select format('type %s.%s %s owner %s acl %s labels %s', nspname, typname, typtype,
     typowner::regrole, typacl,
     array(select enumlabel from pg_enum where enumtypid = t.oid order by enumsortorder))
   from pg_type t join pg_namespace n on n.oid = typnamespace
   where typtype in ('e', 'd', 'r') and ${OWN("t.oid", "pg_type")}`,
  `select format('policy %s.%s %s %s', nspname, relname, polname,
     coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), ''))
   from pg_policy join pg_class c on c.oid = polrelid join pg_namespace n on n.oid = relnamespace`,
  `select format('default privileges %s in %s on %s: %s', defaclrole::regrole,
     defaclnamespace::regnamespace, defaclobjtype, defaclacl) from pg_default_acl`,
  `select format('comment on %s: %s', pg_describe_object(classoid, objoid, objsubid), description)
   from pg_description join pg_class c on c.oid = classoid
   where classoid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
     and objoid >= 16384`,
  "select format('extension %s', extname) from pg_extension",
  `select format('setting of %s in %s: %s', setrole, setdatabase, setconfig) from pg_db_role_setting`,
];
