-- Every table, view and similar relation that does not belong to PostgreSQL itself; those in the search path first.
SELECT n.nspname::pg_catalog.text AS schema, c.relname::pg_catalog.text AS name,
       pg_catalog.pg_table_is_visible(c.oid) AS is_visible
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY ('{r,v,m,f,p}') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 3 DESC, 2
LIMIT $1
