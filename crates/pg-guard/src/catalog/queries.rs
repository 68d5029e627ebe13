//! The catalog queries. Every name in them has its schema, because the search path of the role is not known.

/// Functions with these names.
pub(super) const FUNCTIONS: &str = "
SELECT p.oid, p.proname, p.pronamespace::pg_catalog.regnamespace::pg_catalog.text, p.provolatile = 'v',
       (p.pronargs - p.pronargdefaults)::pg_catalog.int4,
       CASE WHEN p.provariadic <> 0 OR p.prokind = 'a' THEN 1000 ELSE p.pronargs END,
       pg_catalog.current_schemas(true),
       pg_catalog.oidvectortypes(p.proargtypes),
       pg_catalog.current_setting('server_version_num')::pg_catalog.int4
FROM pg_catalog.pg_proc p WHERE p.proname = ANY ($1)";

/// The functions of user-defined operators with these names ($1), and of user-defined casts from and to types with
/// these names ($2); and the user-defined types with these names.
pub(super) const IMPLICIT_FUNCTIONS: &str = "
SELECT o.oprcode::pg_catalog.oid, o.oprname::pg_catalog.text, 0::pg_catalog.oid
FROM pg_catalog.pg_operator o WHERE o.oprname = ANY ($1) AND o.oid >= 16384
UNION ALL
SELECT c.castfunc, t.typname, 0
FROM pg_catalog.pg_cast c, pg_catalog.pg_type t
WHERE c.oid >= 16384 AND c.castfunc <> 0 AND (c.casttarget = t.oid OR c.castsource = t.oid AND c.castcontext = 'i')
      AND t.typname = ANY ($2)
UNION ALL
SELECT 0, t.typname, t.oid FROM pg_catalog.pg_type t WHERE t.typname = ANY ($2) AND t.oid >= 16384";

/// Relations with these names ($1), the user-defined types of their columns, and which of these columns ($2) they have.
pub(super) const RELATIONS: &str = "
SELECT c.oid, c.relname, c.relnamespace::pg_catalog.regnamespace::pg_catalog.text, c.relkind::pg_catalog.text,
       c.relrowsecurity, pg_catalog.pg_table_is_visible(c.oid),
       ARRAY (SELECT DISTINCT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384),
       ARRAY (SELECT a.attname FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attname = ANY ($2) AND NOT a.attisdropped)
FROM pg_catalog.pg_class c WHERE c.relname = ANY ($1)";

/// The user-defined types that a value can have: these types ($1), the types of the arguments and results of these
/// functions ($2), and all types that these contain as elements, fields, bounds, or as the base of a domain.
macro_rules! with_types {
    ($query:literal) => {
        concat!(
            "
WITH RECURSIVE type (oid) AS (
    SELECT given.oid FROM (
        SELECT pg_catalog.unnest($1) UNION
        SELECT pg_catalog.unnest(p.proargtypes::pg_catalog.oid[] || p.prorettype || p.proallargtypes)
        FROM pg_catalog.pg_proc p WHERE p.oid = ANY ($2)
    ) AS given (oid) WHERE given.oid >= 16384
    UNION
    SELECT part.oid FROM type JOIN pg_catalog.pg_type t ON t.oid = type.oid CROSS JOIN LATERAL (
        SELECT t.typelem UNION ALL SELECT t.typbasetype
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
    ) AS part (oid) WHERE part.oid >= 16384
)",
            $query
        )
    };
}

/// Details of these user-defined functions ($4) and of the support functions of aggregates, with texts of up to $3
/// characters; and the functions that run because of a type (types $1 and types of functions $2): its implicit casts,
/// and the functions that compare and sort its values. Functions in C (language 13) that are not volatile are left out:
/// those belong to extensions.
pub(super) const USER_FUNCTIONS: &str = with_types!(
    ", called (oid, type) AS (
    SELECT pg_catalog.unnest($4), NULL::pg_catalog.name
    UNION ALL
    SELECT c.castfunc, t.typname FROM type JOIN pg_catalog.pg_type t USING (oid)
    JOIN pg_catalog.pg_cast c ON c.castsource = t.oid AND c.castcontext = 'i' AND c.castfunc <> 0
    JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc AND (p.provolatile = 'v' OR p.oid >= 16384 AND p.prolang <> 13)
    UNION ALL
    SELECT of.oid, t.typname FROM type JOIN pg_catalog.pg_type t USING (oid)
    JOIN pg_catalog.pg_opclass k ON k.opcintype = t.oid
    CROSS JOIN LATERAL (
        SELECT m.amproc::pg_catalog.oid FROM pg_catalog.pg_amproc m WHERE m.amprocfamily = k.opcfamily
        UNION ALL
        SELECT o.oprcode FROM pg_catalog.pg_amop m JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
        WHERE m.amopfamily = k.opcfamily
    ) AS of (oid)
    JOIN pg_catalog.pg_proc p ON p.oid = of.oid AND (p.provolatile = 'v' OR p.oid >= 16384 AND p.prolang <> 13)
),
part (whole, oid, type) AS (
    SELECT w.oid, w.oid, w.type FROM called w
    UNION ALL
    SELECT w.oid, parts.oid, w.type
    FROM called w JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = w.oid,
         LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn), (a.aggserialfn), (a.aggdeserialfn),
                         (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS parts (oid)
    WHERE parts.oid <> 0
)
SELECT part.whole, p.oid, p.proname, p.pronamespace::pg_catalog.regnamespace::pg_catalog.text, p.provolatile = 'v',
       l.lanname, l.lanpltrusted OR p.oid < 16384 OR p.prokind = 'a', p.prosecdef, e.extname,
       CASE WHEN p.oid >= 16384 THEN
           coalesce('SELECT ' || pg_catalog.pg_get_expr(p.proargdefaults, 0) || ';', '')
           || CASE WHEN l.lanname = 'sql' AND p.prosrc <> '' THEN pg_catalog.left(p.prosrc, $3)
                   -- A body of the SQL standard (BEGIN ATOMIC, RETURN) is only in the definition.
                   WHEN l.lanname = 'sql' THEN pg_catalog.left(pg_catalog.pg_get_functiondef(p.oid), $3)
                   ELSE '' END
       END,
       EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%'),
       part.type,
       pg_catalog.oidvectortypes(p.proargtypes),
       pg_catalog.current_setting('server_version_num')::pg_catalog.int4
FROM part JOIN pg_catalog.pg_proc p ON p.oid = part.oid
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
);

/// The SQL texts of user-defined domains (types $1 and types of functions $2), and of views and policies (relations
/// $4). At most $3 characters of each.
pub(super) const USER_TEXTS: &str = with_types!(
    "
SELECT c.relname::pg_catalog.text, pg_catalog.left(pg_catalog.pg_get_viewdef(c.oid), $3)
FROM pg_catalog.pg_class c
WHERE c.oid = ANY ($4) AND c.relkind = 'v' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT c.relname, 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(p.polqual, p.polrelid), $3)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
WHERE c.oid = ANY ($4) AND c.relrowsecurity AND p.polqual IS NOT NULL
UNION ALL
SELECT t.typname, 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(k.conbin, 0), $3)
FROM type JOIN pg_catalog.pg_type t USING (oid) JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid
WHERE k.conbin IS NOT NULL"
);

/// Finds secrets: settings and connection strings with `password=…` or a similar word, and URLs with a password. Only
/// those that this role can read are found. Each row has the source (see `SecretSource`) and the name of the setting.
pub(super) const SECRETS: &str = r"
WITH looks (secret) AS (VALUES (
    '(password|passwd|secret|token|passphrase|credentials?|(api|access|secret|private)_?key)\s*='
    '|://[^/@[:space:]]*:[^/@[:space:]]*@'))
SELECT 1, s.name FROM pg_catalog.pg_settings s, looks
WHERE s.setting ~* looks.secret OR s.name = 'ssl_passphrase_command' AND s.setting <> ''
UNION ALL
SELECT 2, pg_catalog.split_part(c, '=', 1)
FROM pg_catalog.pg_db_role_setting d CROSS JOIN pg_catalog.unnest(d.setconfig) c, looks WHERE c ~* looks.secret
UNION ALL
SELECT 3, '' FROM pg_catalog.pg_stats s
WHERE s.schemaname = 'pg_catalog' AND (s.tablename, s.attname) IN (
    ('pg_authid', 'rolpassword'), ('pg_user_mapping', 'umoptions'), ('pg_subscription', 'subconninfo'),
    ('pg_foreign_server', 'srvoptions'), ('pg_foreign_table', 'ftoptions'), ('pg_foreign_data_wrapper', 'fdwoptions'),
    ('pg_attribute', 'attfdwoptions'), ('pg_db_role_setting', 'setconfig'))
UNION ALL
SELECT 4, '' FROM looks CROSS JOIN LATERAL (
    SELECT s.srvoptions FROM pg_catalog.pg_foreign_server s
    UNION ALL SELECT t.ftoptions FROM pg_catalog.pg_foreign_table t
    UNION ALL SELECT w.fdwoptions FROM pg_catalog.pg_foreign_data_wrapper w
    UNION ALL SELECT a.attfdwoptions FROM pg_catalog.pg_foreign_table t
              JOIN pg_catalog.pg_attribute a ON a.attrelid = t.ftrelid) AS options (options)
WHERE options.options::pg_catalog.text ~* looks.secret";
