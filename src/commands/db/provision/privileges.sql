-- Sets the owner of the schema and the privileges of all roles, in the current database. Safe to
-- run again; parameters as in roles.sql, and provision.schema.
--
-- Run it as a superuser, or as a member of the owner role that owns the database.

DO $$
DECLARE
    database name := current_database();
    schema name := current_setting('provision.schema');
    owner name := current_setting('provision.owner');
    read_write name := current_setting('provision.read_write');
    read_only name := current_setting('provision.read_only');
    service name := current_setting('provision.service');
    migrator name := current_setting('provision.migrator');
    schema_owner oid;
    alteration text;
    guarded regclass;
    -- Digest of everything that the statements below can change.
    snapshot text := $snapshot$
        SELECT md5(concat(
            (SELECT datacl FROM pg_database WHERE datname = current_database()),
            (SELECT nspacl FROM pg_namespace WHERE nspname = $1),
            (SELECT string_agg(concat(relname, relacl), ',' ORDER BY oid) FROM pg_class
                WHERE relnamespace = quote_ident($1)::regnamespace),
            (SELECT string_agg(d::text, ',' ORDER BY d::text) FROM pg_default_acl AS d),
            (SELECT string_agg(s::text, ',' ORDER BY s::text) FROM pg_db_role_setting AS s)
        ))
    $snapshot$;
    before text;
    after text;
BEGIN
    SELECT nspowner INTO schema_owner FROM pg_namespace WHERE nspname = schema;
    IF NOT FOUND THEN
        EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', schema, owner);
        RAISE NOTICE 'schema %: created', quote_ident(schema);
    ELSIF pg_has_role(owner, schema_owner, 'USAGE') THEN
        -- Also since PostgreSQL 15, where "public" belongs to the owner of the database.
        RAISE NOTICE 'schema %: already exists', quote_ident(schema);
    ELSE
        EXECUTE format('ALTER SCHEMA %I OWNER TO %I', schema, owner);
        RAISE NOTICE 'schema %: owner changed to %', quote_ident(schema), quote_ident(owner);
    END IF;

    -- For a database that a single role created and used, before there was a separate owner.
    FOR alteration IN
        WITH loser AS (SELECT oid FROM pg_roles WHERE rolname IN (service, nullif(migrator, '')))
        SELECT format('TABLE %s', class.oid::regclass) FROM pg_class AS class
            WHERE relnamespace = quote_ident(schema)::regnamespace AND relowner IN (TABLE loser)
                AND (relkind IN ('r', 'p', 'v', 'm', 'f') OR relkind = 'S' AND NOT EXISTS (
                    -- The sequence of a column belongs to its table.
                    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
                        AND objid = class.oid AND deptype IN ('a', 'i')))
        UNION ALL
        SELECT format('ROUTINE %s', oid::regprocedure) FROM pg_proc
            WHERE pronamespace = quote_ident(schema)::regnamespace AND proowner IN (TABLE loser)
        UNION ALL
        SELECT format('TYPE %s', type.oid::regtype) FROM pg_type AS type
            LEFT JOIN pg_class AS class ON class.oid = typrelid
            WHERE typnamespace = quote_ident(schema)::regnamespace AND typowner IN (TABLE loser)
                AND (typtype IN ('e', 'd', 'r') OR typtype = 'c' AND class.relkind = 'c')
    LOOP
        EXECUTE format('ALTER %s OWNER TO %I', alteration, owner);
        RAISE NOTICE '%: owner changed to %', lower(split_part(alteration, ' ', 1))
            || substr(alteration, strpos(alteration, ' ')), quote_ident(owner);
    END LOOP;

    EXECUTE snapshot INTO before USING schema;

    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', database, service);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', database, read_only);

    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', schema);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', schema, service);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema, read_only);

    -- For existing objects, and for those of later migrations. read_write is a member of read_only.
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', schema, service);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', schema, read_only);
    EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', schema, read_only);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', schema, read_write);
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', schema, read_write);
    alteration := format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I', owner, schema);
    EXECUTE format('%s GRANT SELECT ON TABLES TO %I', alteration, read_only);
    EXECUTE format('%s GRANT SELECT ON SEQUENCES TO %I', alteration, read_only);
    EXECUTE format('%s GRANT INSERT, UPDATE, DELETE ON TABLES TO %I', alteration, read_write);
    EXECUTE format('%s GRANT USAGE ON SEQUENCES TO %I', alteration, read_write);

    -- As in migration 000002: only the audit trigger and the migrator write these.
    FOR guarded IN
        SELECT oid::regclass FROM pg_class
        WHERE relnamespace = quote_ident(schema)::regnamespace
            AND relname IN ('audit_log', 'schema_migrations', 'schema_migrations_log')
    LOOP
        EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %I', guarded, read_write);
    END LOOP;

    -- In case the deadlines of the service do not end a statement or transaction. A session can
    -- override them (DB_OPTIONS).
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET statement_timeout = ''30s''', service, database);
    EXECUTE format(
        'ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = ''60s''',
        service, database
    );
    IF migrator <> '' THEN
        -- Its objects belong to the owner, whichever program runs the migrations.
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET role = %L', migrator, database, owner);
    END IF;

    EXECUTE snapshot INTO after USING schema;
    IF before = after THEN
        RAISE NOTICE 'privileges, default privileges and timeouts: up to date';
    ELSE
        RAISE NOTICE 'privileges, default privileges and timeouts: set';
    END IF;
END $$;
