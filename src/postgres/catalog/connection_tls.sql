-- How the connection of this backend is encrypted. Behind a pooler, it is the pooler's connection.
SELECT pid, version, cipher
FROM pg_catalog.pg_stat_ssl
WHERE pid = pg_catalog.pg_backend_pid()
LIMIT 1
