-- Which server this is, and which of its databases.
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version_number,
       pg_catalog.current_setting('server_version') AS version,
       pg_catalog.pg_is_in_recovery() AS is_standby,
       pg_catalog.current_database()::pg_catalog.text AS database,
       -- Superusers have no such limit.
       (SELECT pg_catalog.min(l.allowed)
        FROM (SELECT r.rolconnlimit FROM pg_catalog.pg_roles r WHERE r.rolname = current_user AND NOT r.rolsuper
              UNION ALL
              SELECT d.datconnlimit FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
              WHERE d.datname = pg_catalog.current_database() AND r.rolname = current_user AND NOT r.rolsuper) AS l (allowed)
        WHERE l.allowed >= 0) AS connections_max
LIMIT 1
