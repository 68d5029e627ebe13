-- Which of these extensions are installed in the database.
-- $1: their names. $2: how many.
SELECT extname::pg_catalog.text AS name FROM pg_catalog.pg_extension WHERE extname = ANY ($1) ORDER BY 1 LIMIT $2
