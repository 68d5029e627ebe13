-- Why transactions of this session are READ ONLY.
SELECT pg_catalog.pg_is_in_recovery() AS is_standby, s.setting = 'on' AS is_default, s.source::pg_catalog.text AS source
FROM pg_catalog.pg_settings s
WHERE s.name = 'default_transaction_read_only'
LIMIT 1
