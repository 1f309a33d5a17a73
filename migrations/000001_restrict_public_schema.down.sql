-- Before PostgreSQL 15 every role could create objects in "public"; since then none can by default, and
-- that is where this leads back to.
DO $$
BEGIN
    IF current_setting('server_version_num')::int < 150000 THEN
        GRANT CREATE ON SCHEMA public TO PUBLIC;
    END IF;
END $$;
