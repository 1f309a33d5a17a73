-- Refuses to destroy an audit trail. When it is archived or not wanted (a test database):
--   DB_OPTIONS='-c audit.drop_log=yes' deno task migrate down
-- or, with golang-migrate's own program, PGOPTIONS='-c audit.drop_log=yes'.
DO $$
BEGIN
    IF current_setting('audit.drop_log', true) IS DISTINCT FROM 'yes'
        AND EXISTS (SELECT FROM audit_log)
    THEN
        RAISE EXCEPTION 'audit_log has entries: archive them, then set audit.drop_log to yes'
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END $$;

DROP TABLE audit_log;

DROP FUNCTION reject_audit_log_change();
