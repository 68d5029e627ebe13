-- The backends that hold the locks for which a backend waits, and what they do, as far as this role may see it.
SELECT b.pid, a.state,
       pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.state_change))::pg_catalog.int8 AS seconds
FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) AS pid) AS b
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
ORDER BY b.pid
LIMIT 3
