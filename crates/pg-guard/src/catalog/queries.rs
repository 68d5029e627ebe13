//! The catalog queries. Every name in them has its schema, because the search path of the role is not known.

/// Functions with these names.
pub(super) const FUNCTIONS: &str = "
SELECT p.oid, p.proname, p.pronamespace::pg_catalog.regnamespace::pg_catalog.text, p.provolatile = 'v',
       (p.pronargs - p.pronargdefaults)::pg_catalog.int4,
       CASE WHEN p.provariadic <> 0 OR p.prokind = 'a' THEN 1000 ELSE p.pronargs END,
       pg_catalog.current_schemas(true),
       pg_catalog.oidvectortypes(p.proargtypes),
       pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
       EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = p.proargtypes[0] AND t.typtype IN ('c', 'd', 'p'))
FROM pg_catalog.pg_proc p WHERE p.proname = ANY ($1)";

/// What runs without a name of its own:
/// - the functions of user-defined operators with these names ($1), and those of their negators and commutators, which
///   the planner uses in their stead;
/// - the functions of user-defined casts of PostgreSQL's own types: those to a type with one of these names ($3), and the
///   implicit ones, which need no name (casts of a user-defined type are found by that type);
/// - the user-defined types with these names ($2).
pub(super) const IMPLICIT_FUNCTIONS: &str = "
SELECT run.oid, o.oprname::pg_catalog.text, 0::pg_catalog.oid
FROM pg_catalog.pg_operator o
     LEFT JOIN pg_catalog.pg_operator negator ON negator.oid = o.oprnegate
     LEFT JOIN pg_catalog.pg_operator commutator ON commutator.oid = o.oprcom
     CROSS JOIN LATERAL (
         SELECT o.oprcode::pg_catalog.oid WHERE o.oid >= 16384
         UNION SELECT negator.oprcode WHERE negator.oid >= 16384
         UNION SELECT commutator.oprcode WHERE commutator.oid >= 16384
     ) AS run (oid)
WHERE o.oprname = ANY ($1) AND run.oid <> 0
UNION ALL
SELECT c.castfunc, t.typname, 0
FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.casttarget
     JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
WHERE c.oid >= 16384 AND c.castsource < 16384
      AND (t.typname = ANY ($3)
           -- The author of an extension answers for its functions in C (language 13) that are not volatile.
           OR c.castcontext = 'i' AND (p.provolatile = 'v' OR p.oid >= 16384 AND p.prolang <> 13))
UNION ALL
SELECT 0, t.typname, t.oid FROM pg_catalog.pg_type t WHERE t.typname = ANY ($2) AND t.oid >= 16384";

/// Relations with these names ($1), the user-defined types of their columns, which of these columns ($2) they have, and
/// whether a user-defined function or operator class is a part of their indexes, constraints, statistics or partitions:
/// the planner can run such a function. A relation with children counts as one, because the children can have such
/// parts.
pub(super) const RELATIONS: &str = "
SELECT c.oid, c.relname, c.relnamespace::pg_catalog.regnamespace::pg_catalog.text, c.relkind::pg_catalog.text,
       c.relrowsecurity, pg_catalog.pg_table_is_visible(c.oid),
       ARRAY (SELECT DISTINCT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384),
       ARRAY (SELECT a.attname FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attname = ANY ($2) AND NOT a.attisdropped),
       c.oid >= 16384 AND (c.relhassubclass OR EXISTS (
           SELECT FROM (
               SELECT c.oid, 'pg_catalog.pg_class'::pg_catalog.regclass
               UNION ALL SELECT i.indexrelid, 'pg_catalog.pg_class'::pg_catalog.regclass
               FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid
               UNION ALL SELECT k.oid, 'pg_catalog.pg_constraint'::pg_catalog.regclass
               FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'
               UNION ALL SELECT s.oid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
               FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = c.oid
           ) AS part (oid, class) JOIN pg_catalog.pg_depend d ON d.classid = part.class AND d.objid = part.oid
           WHERE d.refobjid >= 16384
                 AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass)))
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
/// characters; the functions that run because of a type (types $1 and types of functions $2): its casts (those that are
/// not implicit only to types with one of the names $6), its input and output, the functions that compare and sort its
/// values, those of a range; and the functions behind the indexes, constraints, statistics and partitions of relations
/// ($5) and of their children. Of the latter the planner runs those that are IMMUTABLE, and those of operator classes: a
/// check by a volatile function runs only for a write. Functions in C (language 13) that are not volatile are left out:
/// those belong to extensions. A part whose condition is that there are types, or relations, costs nothing where there
/// are none.
pub(super) const USER_FUNCTIONS: &str = with_types!(
    ", relation (oid) AS (
    SELECT pg_catalog.unnest($5)
    UNION SELECT i.inhrelid FROM relation JOIN pg_catalog.pg_inherits i ON i.inhparent = relation.oid
),
part_of_relation (relation, class, oid) AS (
    SELECT oid, 'pg_catalog.pg_class'::pg_catalog.regclass, oid FROM relation
    UNION ALL SELECT i.indrelid, 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid
    FROM relation JOIN pg_catalog.pg_index i ON i.indrelid = relation.oid
    UNION ALL SELECT k.conrelid, 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid
    FROM relation JOIN pg_catalog.pg_constraint k ON k.conrelid = relation.oid
    UNION ALL SELECT s.stxrelid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid
    FROM relation JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = relation.oid
),
called (oid, type) AS (
    SELECT pg_catalog.unnest($4), NULL::pg_catalog.name
    UNION ALL
    SELECT c.castfunc, t.typname FROM type JOIN pg_catalog.pg_type t USING (oid)
    JOIN pg_catalog.pg_cast c ON t.oid IN (c.castsource, c.casttarget) AND c.castfunc <> 0
    JOIN pg_catalog.pg_type target ON target.oid = c.casttarget AND (c.castcontext = 'i' OR target.typname = ANY ($6))
    JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc AND (p.provolatile = 'v' OR p.oid >= 16384 AND p.prolang <> 13)
    WHERE (SELECT EXISTS (SELECT FROM type))
    UNION ALL
    SELECT p.oid, t.typname FROM type JOIN pg_catalog.pg_type t USING (oid)
    LEFT JOIN pg_catalog.pg_range r ON t.oid = r.rngtypid
    JOIN pg_catalog.pg_proc p
        ON p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, r.rngsubdiff, r.rngcanonical)
           AND p.oid >= 16384 AND (p.provolatile = 'v' OR p.prolang <> 13)
    WHERE (SELECT EXISTS (SELECT FROM type))
    UNION ALL
    SELECT p.oid, c.relname FROM part_of_relation x JOIN pg_catalog.pg_class c ON c.oid = x.relation
    JOIN pg_catalog.pg_depend d ON d.classid = x.class AND d.objid = x.oid AND d.refobjid >= 16384
    CROSS JOIN LATERAL (
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.refobjid AND p.provolatile = 'i'
        UNION SELECT m.amproc FROM pg_catalog.pg_opclass k JOIN pg_catalog.pg_amproc m ON m.amprocfamily = k.opcfamily
        WHERE d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND k.oid = d.refobjid
        UNION SELECT o.oprcode FROM pg_catalog.pg_opclass k JOIN pg_catalog.pg_amop m ON m.amopfamily = k.opcfamily
                                JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
        WHERE d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND k.oid = d.refobjid
    ) AS of (oid)
    JOIN pg_catalog.pg_proc p ON p.oid = of.oid AND (p.provolatile = 'v' OR p.oid >= 16384 AND p.prolang <> 13)
    WHERE (SELECT EXISTS (SELECT FROM relation))
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
    WHERE (SELECT EXISTS (SELECT FROM type))
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
       ARRAY (SELECT pg_catalog.lower(pg_catalog.split_part(setting, '=', 1))
              FROM pg_catalog.unnest(p.proconfig) AS setting),
       part.type,
       pg_catalog.oidvectortypes(p.proargtypes),
       pg_catalog.current_setting('server_version_num')::pg_catalog.int4
FROM part JOIN pg_catalog.pg_proc p ON p.oid = part.oid
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
);

/// The SQL texts of user-defined domains (types $1, types of functions $2, and domains that are arguments of functions
/// $5), of views, and of the policies of relations ($4). At most $3 characters of each; with whether it is the text of a
/// policy. Unless $6, only the policies that apply to this role when it reads are meant: with $6 another role may read, as
/// the owner of a view does, or the statement may not only read.
pub(super) const USER_TEXTS: &str = with_types!(
    "
SELECT c.relname::pg_catalog.text, pg_catalog.left(pg_catalog.pg_get_viewdef(c.oid), $3), false
FROM pg_catalog.pg_class c
WHERE c.oid = ANY ($4) AND c.relkind = 'v' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT c.relname, 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(condition.tree, p.polrelid), $3), true
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
     CROSS JOIN LATERAL (SELECT p.polqual UNION ALL SELECT p.polwithcheck WHERE $6) AS condition (tree)
WHERE c.oid = ANY ($4) AND c.relrowsecurity AND condition.tree IS NOT NULL
      AND ($6 OR pg_catalog.row_security_active(c.oid) AND p.polcmd IN ('r', '*') AND (
          p.polroles = '{0}' OR EXISTS (
              SELECT FROM pg_catalog.unnest(p.polroles) AS role (oid)
              WHERE role.oid = 0 OR pg_catalog.pg_has_role(role.oid, 'MEMBER'))))
UNION ALL
SELECT t.typname, 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(k.conbin, 0), $3), false
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid
WHERE k.conbin IS NOT NULL AND t.oid IN (
    SELECT oid FROM type
    UNION SELECT pg_catalog.unnest(p.proargtypes) FROM pg_catalog.pg_proc p WHERE p.oid = ANY ($5))"
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
