-- Lets every role create objects in "public" again, as before PostgreSQL 15.
GRANT CREATE ON SCHEMA public TO PUBLIC;
