-- Those of the given types that PostgreSQL cannot send in binary form, or does not read back from it. $1: OIDs of
-- types.
WITH RECURSIVE part (whole, oid) AS (
  SELECT given, given FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS given
  UNION SELECT part.whole, inner_.oid FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid CROSS JOIN LATERAL (
    SELECT t.typelem UNION ALL SELECT t.typbasetype
    UNION ALL SELECT atttypid FROM pg_catalog.pg_attribute
      WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT rngsubtype FROM pg_catalog.pg_range WHERE t.oid IN (rngtypid, rngmultitypid)
  ) AS inner_ (oid) WHERE inner_.oid <> 0)
SELECT DISTINCT part.whole FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid WHERE t.typsend = 0
  OR t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typname IN ('pg_node_tree', 'anyarray',
  'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary')
