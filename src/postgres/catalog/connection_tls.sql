-- Whether this connection is encrypted, and how.
SELECT ssl AS is_encrypted, version, cipher
FROM pg_catalog.pg_stat_ssl
WHERE pid = pg_catalog.pg_backend_pid()
LIMIT 1
