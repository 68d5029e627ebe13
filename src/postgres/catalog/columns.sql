-- The columns of the relations that a statement may name, found by name in the search path or in a schema that it
-- names.
SELECT c.oid AS relation_oid, c.relname::pg_catalog.text AS relation, a.attname::pg_catalog.text AS name
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY ($1) AND (pg_catalog.pg_table_is_visible(c.oid) OR n.nspname = ANY ($1))
      AND c.relkind = ANY ('{r,v,m,f,p}') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.oid, a.attnum
LIMIT $2
