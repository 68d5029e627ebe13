-- What the role of a connection, and the roles that it can become, may do. Of each kind only some names are listed.
WITH reach AS (
    SELECT r.* FROM pg_catalog.pg_roles r WHERE pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')
),
own AS (SELECT r.* FROM pg_catalog.pg_roles r WHERE r.rolname = current_user),
relation AS (
    SELECT c.oid, c.relkind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'f', 'S') AND n.nspname !~ '^pg_'
)
SELECT own.rolname::pg_catalog.text AS role, own.rolsuper AS is_superuser, own.rolbypassrls AS bypasses_row_security,
       own.rolcreaterole OR own.rolcreatedb OR own.rolreplication AS administers,
       ARRAY (SELECT r.rolname FROM reach r WHERE r.rolsuper AND r.rolname <> own.rolname ORDER BY 1 LIMIT $1)
           AS superusers,
       ARRAY (SELECT r.rolname FROM reach r WHERE r.rolbypassrls AND r.rolname <> own.rolname ORDER BY 1 LIMIT $1)
           AS bypassing_roles,
       ARRAY (SELECT r.rolname FROM reach r
              WHERE r.rolname IN ('pg_write_server_files', 'pg_execute_server_program', 'pg_read_server_files')
              ORDER BY 1) AS file_roles,
       ARRAY (SELECT t.oid::pg_catalog.regclass::pg_catalog.text FROM relation t
              WHERE $2 AND t.relkind <> 'S' AND EXISTS (
                  SELECT FROM reach r
                  WHERE pg_catalog.has_table_privilege(r.oid, t.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                        OR pg_catalog.has_any_column_privilege(r.oid, t.oid, 'INSERT, UPDATE'))
              LIMIT $1) AS writable_tables,
       ARRAY (SELECT s.oid::pg_catalog.regclass::pg_catalog.text FROM relation s
              WHERE $2 AND s.relkind = 'S' AND EXISTS (
                  SELECT FROM reach r WHERE pg_catalog.has_sequence_privilege(r.oid, s.oid, 'USAGE, UPDATE'))
              LIMIT $1) AS writable_sequences,
       ARRAY (SELECT n.nspname FROM pg_catalog.pg_namespace n
              WHERE $2 AND n.nspname !~ '^pg_' AND EXISTS (
                  SELECT FROM reach r WHERE pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE'))
              LIMIT $1) AS writable_schemas,
       $2 AND EXISTS (
           SELECT FROM reach r
           WHERE pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CREATE')) AS creates_schemas,
       ARRAY (SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text FROM pg_catalog.pg_proc p
              WHERE p.oid >= 16384 AND p.prosecdef AND EXISTS (
                  SELECT FROM reach r WHERE pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE'))
              LIMIT $1) AS security_definers,
       EXISTS (SELECT FROM reach r
               WHERE pg_catalog.has_column_privilege(r.oid, 'pg_catalog.pg_authid', 'rolpassword', 'SELECT'))
           AS reads_password_hashes
FROM own
