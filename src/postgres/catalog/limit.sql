-- The value of one of PostgreSQL's own time limits in this session, as PostgreSQL writes it, and where it comes from.
SELECT pg_catalog.current_setting(s.name) AS value, s.source::pg_catalog.text AS source
FROM pg_catalog.pg_settings s
WHERE s.name = $1 AND s.setting <> '0' AND s.source <> 'session'
LIMIT 1
