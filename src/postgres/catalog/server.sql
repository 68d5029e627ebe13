-- Which server this is, and which of its databases.
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version_number,
       pg_catalog.current_setting('server_version') AS version,
       pg_catalog.pg_is_in_recovery() AS is_standby,
       pg_catalog.current_database()::pg_catalog.text AS database
LIMIT 1
