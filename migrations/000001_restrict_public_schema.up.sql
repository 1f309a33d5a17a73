-- Only the owner of the database may create objects in the schema "public".
-- PostgreSQL 15 made this the default for new databases; databases that were
-- upgraded or restored from older ones still let every role create there
-- (CVE-2018-1058).
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
