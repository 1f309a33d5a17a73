-- Who changed what and when; 000003 has the trigger that writes it.
--
-- Append-only: no role can update, delete or truncate rows, the table's owner included. PostgreSQL
-- has no stronger lock against an owner than triggers: an owner can still drop them, or the table.
-- Hence the service must not be the owner (deno task db:init), and DDL should be logged
-- (log_statement = ddl).

CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The clock, not the start of the transaction: entries of one transaction differ.
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- The role that logged in, whatever role it took afterwards.
    login_role name NOT NULL DEFAULT session_user,
    application_name text NOT NULL DEFAULT current_setting('application_name'),
    -- NULL on a unix socket.
    client_address inet DEFAULT inet_client_addr(),
    -- On whose behalf: what the application says with set_config('audit.actor', …, true).
    actor text DEFAULT nullif(current_setting('audit.actor', true), ''),
    schema_name name NOT NULL,
    table_name name NOT NULL,
    operation text NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')),
    old_row jsonb,
    new_row jsonb,
    CONSTRAINT audit_log_rows_fit_operation CHECK (
        (old_row IS NOT NULL) = (operation IN ('UPDATE', 'DELETE'))
        AND (new_row IS NOT NULL) = (operation IN ('INSERT', 'UPDATE'))
    )
);

COMMENT ON TABLE audit_log IS 'Every change of the audited tables. Append-only.';

-- "What happened to this table lately?"
CREATE INDEX audit_log_table_occurred_at ON audit_log (schema_name, table_name, occurred_at);

CREATE FUNCTION reject_audit_log_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is not allowed', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;

-- For each statement, not row: also a statement that finds no row is refused, and TRUNCATE has none.
CREATE TRIGGER reject_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION reject_audit_log_change();

-- ALWAYS: also with session_replication_role = replica.
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER reject_change;

-- Default privileges may have let other roles write these tables: the log is written by its trigger
-- only, and the books of the migrations by the migrator only. Which roles there are differs from
-- server to server, so the tables' own access lists are asked.
DO $$
DECLARE
    entry record;
BEGIN
    FOR entry IN
        SELECT DISTINCT class.oid::regclass AS relation, acl.grantee
        FROM pg_catalog.pg_class AS class, pg_catalog.aclexplode(class.relacl) AS acl
        WHERE class.relnamespace = quote_ident(current_schema())::regnamespace
            AND class.relname IN ('audit_log', 'schema_migrations', 'schema_migrations_log')
            AND acl.grantee <> class.relowner
            AND acl.privilege_type <> 'SELECT'
    LOOP
        EXECUTE format(
            'REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM %s',
            entry.relation,
            CASE entry.grantee WHEN 0 THEN 'PUBLIC' ELSE entry.grantee::regrole::text END
        );
    END LOOP;
END $$;
