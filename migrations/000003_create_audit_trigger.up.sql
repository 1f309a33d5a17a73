-- The audit trail for all modifications. One line puts it on a table:
--
--   SELECT audit_table('account');
--   SELECT audit_table('customer', 'password_hash');  -- without the values of that column

-- SECURITY DEFINER: whoever may change a table has its changes recorded without being able to write
-- the log by hand.
CREATE FUNCTION record_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    hidden text[] := coalesce(TG_ARGV, '{}');
BEGIN
    INSERT INTO audit_log (schema_name, table_name, operation, old_row, new_row) VALUES (
        TG_TABLE_SCHEMA,
        TG_TABLE_NAME,
        TG_OP,
        CASE WHEN TG_OP IN ('UPDATE', 'DELETE') THEN to_jsonb(OLD) - hidden END,
        CASE WHEN TG_OP IN ('INSERT', 'UPDATE') THEN to_jsonb(NEW) - hidden END
    );
    RETURN NULL;
END $$;

-- Safe to call again, for instance to hide other columns.
CREATE FUNCTION audit_table(audited regclass, VARIADIC hidden_columns name[] DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    hidden text;
    unknown name;
BEGIN
    -- A typing error would write the very values that are to be hidden.
    SELECT wanted INTO unknown FROM unnest(hidden_columns) AS wanted
        WHERE NOT EXISTS (
            SELECT FROM pg_attribute
            WHERE attrelid = audited AND attname = wanted AND attnum > 0 AND NOT attisdropped
        );
    IF FOUND THEN
        RAISE EXCEPTION 'table % has no column %', audited, quote_ident(unknown)
            USING ERRCODE = 'undefined_column';
    END IF;
    SELECT coalesce(string_agg(quote_literal(wanted), ', '), '') INTO hidden
        FROM unnest(hidden_columns) AS wanted;
    EXECUTE format('DROP TRIGGER IF EXISTS audit_row ON %s', audited);
    EXECUTE format('DROP TRIGGER IF EXISTS audit_truncate ON %s', audited);
    EXECUTE format(
        'CREATE TRIGGER audit_row AFTER INSERT OR UPDATE OR DELETE ON %s '
        'FOR EACH ROW EXECUTE FUNCTION record_audit(%s)', audited, hidden
    );
    EXECUTE format(
        'CREATE TRIGGER audit_truncate AFTER TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION record_audit()', audited
    );
END $$;

-- The log is found in this schema and nowhere else: a temporary table of the same name, which anyone
-- may be able to make, would come first if pg_temp were not named last.
DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION record_audit() SET search_path = pg_catalog, %I, pg_temp', current_schema()
    );
    EXECUTE format(
        'ALTER FUNCTION audit_table(regclass, name[]) SET search_path = pg_catalog, %I, pg_temp',
        current_schema()
    );
END $$;

-- Functions are everyone's by default. With this one a role could attach the trigger to a table of
-- its own, and so write entries of its own making.
REVOKE EXECUTE ON FUNCTION record_audit() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION audit_table(regclass, name[]) FROM PUBLIC;
