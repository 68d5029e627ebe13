SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
pg_catalog.pg_table_is_visible(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = ANY ('{r,v,m,f,p}') AND n.nspname <> 'information_schema'
AND n.nspname !~ '^pg_' ORDER BY 3 DESC, 2 LIMIT $1
