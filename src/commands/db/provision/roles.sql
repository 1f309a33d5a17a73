-- Creates the roles of one database, or changes existing ones to match. Safe to run again.
--
-- Requires CREATEROLE, not a superuser. The parameters are session settings, so that the server
-- quotes the names, and psql can run this file, too (select set_config('provision.owner', …,
-- false)):
--   provision.owner, .read_write, .read_only   roles without login
--   provision.service, .service_verifier       login of the service
--   provision.migrator, .migrator_verifier     login of the migrator; '' for none
-- A verifier is a SCRAM-SHA-256 verifier; '' keeps the password.

DO $$
DECLARE
    owner name := current_setting('provision.owner');
    read_write name := current_setting('provision.read_write');
    read_only name := current_setting('provision.read_only');
    service name := current_setting('provision.service');
    migrator name := current_setting('provision.migrator');
    wanted record;
    existing record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            (owner, false, ''),
            (read_write, false, ''),
            (read_only, false, ''),
            (service, true, current_setting('provision.service_verifier')),
            (migrator, true, current_setting('provision.migrator_verifier'))
        ) AS role (name, login, verifier)
        WHERE role.name <> ''
    LOOP
        SELECT * INTO existing FROM pg_roles WHERE rolname = wanted.name;
        IF NOT FOUND THEN
            EXECUTE format(
                'CREATE ROLE %I %s', wanted.name, CASE WHEN wanted.login THEN 'LOGIN' ELSE 'NOLOGIN' END
            );
            RAISE NOTICE 'role %: created', quote_ident(wanted.name);
        ELSIF existing.rolsuper OR existing.rolcreaterole OR existing.rolcreatedb
            OR existing.rolreplication OR existing.rolbypassrls
        THEN
            -- It may be in use by an administrator: never remove attributes from it.
            RAISE EXCEPTION 'role % is an administrator (superuser, createrole, createdb, replication '
                'or bypassrls); the service needs separate roles', quote_ident(wanted.name)
                USING ERRCODE = 'invalid_role_specification';
        ELSIF wanted.login AND NOT existing.rolcanlogin THEN
            EXECUTE format('ALTER ROLE %I LOGIN', wanted.name);
            RAISE NOTICE 'role %: login enabled', quote_ident(wanted.name);
        ELSE
            RAISE NOTICE 'role %: already exists', quote_ident(wanted.name);
        END IF;
        IF wanted.verifier <> '' THEN
            EXECUTE format('ALTER ROLE %I PASSWORD %L', wanted.name, wanted.verifier);
            RAISE NOTICE 'role %: password set', quote_ident(wanted.name);
        END IF;
    END LOOP;

    FOR wanted IN
        SELECT * FROM (VALUES (read_only, read_write), (read_write, service), (owner, migrator))
            AS membership (role, member)
        WHERE member <> ''
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_auth_members AS known
            JOIN pg_roles AS granted ON granted.oid = known.roleid
            JOIN pg_roles AS member ON member.oid = known.member
            WHERE granted.rolname = wanted.role AND member.rolname = wanted.member
        );
        EXECUTE format('GRANT %I TO %I', wanted.role, wanted.member);
        RAISE NOTICE 'role %: member of %', quote_ident(wanted.member), quote_ident(wanted.role);
    END LOOP;

    -- To change owners, an administrator who is not a superuser must be a member of the owner.
    -- Since PostgreSQL 16, the creator of a role may grant it to others, but is not a full member
    -- itself.
    IF current_setting('is_superuser') = 'off' THEN
        IF current_setting('server_version_num')::int < 160000 THEN
            IF NOT pg_has_role(owner, 'USAGE') THEN
                EXECUTE format('GRANT %I TO CURRENT_USER', owner);
            END IF;
        ELSIF NOT (pg_has_role(owner, 'SET') AND pg_has_role(owner, 'USAGE')) THEN
            EXECUTE format('GRANT %I TO CURRENT_USER WITH INHERIT TRUE, SET TRUE', owner);
        END IF;
    END IF;
END $$;
