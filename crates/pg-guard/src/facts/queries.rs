//! The catalog queries. Every name in them has its schema, because the search path of the role is not known. Objects with
//! an OID from 16384 on are not part of PostgreSQL itself (FirstNormalObjectId in access/transam.h).
//!
//! A user can make casts and operators that these queries would run: a cast of `text` to `int4`, an operator of `oid` and
//! `int4`. So they compare values of one type only (`'16384'` becomes an OID, 16384 would not), and cast only where
//! PostgreSQL has a cast of its own, which nobody can replace.

/// What depends on the session: whether the database is encoded in UTF-8, the version, and the schemas whose objects can
/// be named without their schema. A schema of the search path that does not exist yet counts too.
pub(super) const SESSION: &str = r#"
SELECT pg_catalog.current_setting('server_encoding') = 'UTF8',
       pg_catalog.int4in(pg_catalog.textout(pg_catalog.current_setting('server_version_num'))),
       pg_catalog.current_schemas(true) || ARRAY (
           SELECT CASE part WHEN '"$user"' THEN session_user ELSE pg_catalog.btrim(part, '"') END::pg_catalog.name
           FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.current_setting('search_path'), ', ')) AS part)"#;

/// The functions of users and extensions, and PostgreSQL's own functions with these names ($1).
pub(super) const FUNCTIONS: &str = "
SELECT p.oid, p.proname, n.nspname, p.provolatile = 'v', p.prosecdef, l.lanname, l.lanpltrusted OR p.prokind = 'a',
       e.extname, (p.pronargs - p.pronargdefaults)::pg_catalog.int4,
       CASE WHEN p.provariadic <> '0' OR p.prokind = 'a' THEN 1000 ELSE p.pronargs END::pg_catalog.int4,
       p.proargtypes::pg_catalog.oid[], p.prorettype || coalesce(p.proallargtypes, '{}'),
       l.lanname = 'sql' OR p.proargdefaults IS NOT NULL, coalesce(p.proconfig, '{}')
FROM pg_catalog.pg_proc p
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AND d.objid = p.oid AND d.deptype = 'e'
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
WHERE p.oid >= '16384' OR p.proname = ANY ($1)";

/// The names of PostgreSQL's own functions that SQL can call: none of their arguments is `internal`.
pub(super) const BUILTIN_NAMES: &str = "
SELECT pg_catalog.array_agg(DISTINCT p.proname) FROM pg_catalog.pg_proc p
WHERE p.oid < '16384' AND NOT 'pg_catalog.internal'::pg_catalog.regtype::pg_catalog.oid = ANY (p.proargtypes)";

/// All types but the rows of PostgreSQL's own tables, with what they contain: an element, the base of a domain, the
/// fields of a row, the bounds of a range; and whether it is a domain with checks.
pub(super) const TYPES: &str = "
SELECT t.oid, t.typname, t.typtype::pg_catalog.text, t.typelem, t.typbasetype, t.typrelid,
       coalesce(r.rngsubtype, m.rngsubtype, '0'::pg_catalog.oid),
       EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.conbin IS NOT NULL)
FROM pg_catalog.pg_type t
     LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
     LEFT JOIN pg_catalog.pg_range m ON m.rngmultitypid = t.oid
WHERE t.oid >= '16384' OR t.typrelid = '0'";

/// What can be read, with whether policies are enabled, and whether an extension has made it.
pub(super) const RELATIONS: &str = "
SELECT c.oid, c.relname, n.nspname, c.relkind::pg_catalog.text, c.relrowsecurity, d.objid IS NOT NULL
FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AND d.objid = c.oid AND d.deptype = 'e'
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') OR c.relkind = 't' AND c.oid < '16384'";

/// The types of users and extensions in the columns of each relation, and in the fields of each row type.
pub(super) const COLUMN_TYPES: &str = "
SELECT DISTINCT a.attrelid, a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND a.atttypid >= '16384'";

/// The columns that have the name of a user's function that can take one argument.
pub(super) const COLUMNS: &str = "
SELECT a.attrelid, a.attname FROM pg_catalog.pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attname IN (
    SELECT p.proname FROM pg_catalog.pg_proc p
    WHERE p.oid >= '16384' AND p.pronargs - p.pronargdefaults <= 1 AND (p.pronargs > 0 OR p.prokind = 'a'))";

/// What runs functions without their names. Each row has what it is (see `Way`), the object that runs the function, a
/// name, another object, and the function: its OID, and for a function of PostgreSQL its name and the types of its
/// arguments.
///
/// 1. operators by their names: their own functions and those of their negators and commutators, which the planner uses
///    in their stead;
/// 2. casts (source, name of the target, target), the implicit ones; 3. the others;
/// 4. types: the functions of their values and of their ranges; 5. operator classes, by the type that they compare or
///    sort; 6. aggregates;
/// 7. relations: the functions and operator classes of their indexes, constraints, statistics and partitions, and those
///    of their children. Of the functions the planner runs those that are IMMUTABLE: a check by a volatile function runs
///    only for a write.
pub(super) const WIRES: &str = "
WITH RECURSIVE class_function (class, type, function) AS (
    SELECT k.oid, k.opcintype, m.amproc::pg_catalog.oid
    FROM pg_catalog.pg_opclass k JOIN pg_catalog.pg_amproc m ON m.amprocfamily = k.opcfamily
    WHERE k.oid >= '16384' OR m.oid >= '16384'
    UNION
    SELECT k.oid, k.opcintype, o.oprcode
    FROM pg_catalog.pg_opclass k JOIN pg_catalog.pg_amop m ON m.amopfamily = k.opcfamily
         JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
    WHERE k.oid >= '16384' OR m.oid >= '16384'
),
used (class, object, function) AS (
    SELECT d.classid, d.objid, d.refobjid
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid AND p.provolatile = 'i'
    WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AND d.refobjid >= '16384'
    UNION
    SELECT d.classid, d.objid, f.function
    FROM pg_catalog.pg_depend d JOIN class_function f ON f.class = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass::pg_catalog.oid AND d.refobjid >= '16384'
),
of_relation (relation, function) AS (
    SELECT part.relation, u.function FROM used u CROSS JOIN LATERAL (
        SELECT coalesce((SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = u.object), u.object)
        WHERE u.class = 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
        UNION ALL SELECT k.conrelid FROM pg_catalog.pg_constraint k
        WHERE u.class = 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid AND k.oid = u.object AND k.conrelid <> '0'
        UNION ALL SELECT s.stxrelid FROM pg_catalog.pg_statistic_ext s
        WHERE u.class = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::pg_catalog.oid AND s.oid = u.object
    ) AS part (relation)
    UNION
    SELECT i.inhparent, r.function
    FROM of_relation r JOIN pg_catalog.pg_inherits i ON i.inhrelid = r.relation
),
wire (way, object, name, other, function) AS (
    SELECT 1, o.oid, o.oprname, '0'::pg_catalog.oid, run.oid
    FROM pg_catalog.pg_operator o
         LEFT JOIN pg_catalog.pg_operator negator ON negator.oid = o.oprnegate
         LEFT JOIN pg_catalog.pg_operator commutator ON commutator.oid = o.oprcom
         CROSS JOIN LATERAL (
             SELECT o.oprcode::pg_catalog.oid WHERE o.oid >= '16384'
             UNION SELECT negator.oprcode WHERE negator.oid >= '16384'
             UNION SELECT commutator.oprcode WHERE commutator.oid >= '16384'
         ) AS run (oid)
    UNION ALL
    SELECT CASE c.castcontext WHEN 'i' THEN 2 ELSE 3 END, c.castsource, t.typname, c.casttarget, c.castfunc
    FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.casttarget WHERE c.oid >= '16384'
    UNION ALL
    SELECT 4, t.oid, t.typname, 0, run.oid
    FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
         CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin,
             t.typmodout, r.rngsubdiff, r.rngcanonical]::pg_catalog.oid[]) AS run (oid)
    WHERE t.oid >= '16384' AND run.oid >= '16384'
    UNION ALL
    SELECT 5, f.type, t.typname, 0, f.function FROM class_function f JOIN pg_catalog.pg_type t ON t.oid = f.type
    UNION ALL
    SELECT 6, a.aggfnoid, p.proname, 0, run.oid
    FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid
         CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
             a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::pg_catalog.oid[]) AS run (oid)
    WHERE p.oid >= '16384'
    UNION ALL
    SELECT 7, c.oid, c.relname, 0, r.function
    FROM of_relation r JOIN pg_catalog.pg_class c ON c.oid = r.relation
)
SELECT w.way, w.object, w.name, w.other, w.function,
       CASE WHEN p.oid < '16384' THEN p.proname END,
       CASE WHEN p.oid < '16384' THEN p.proargtypes::pg_catalog.oid[] END
FROM wire w JOIN pg_catalog.pg_proc p ON p.oid = w.function";

/// A number that changes with the facts: of the rows that they are read from, it sums a hash of the OID and of the
/// transaction that has written the row. The rights of the role count as far as policies depend on them.
pub(super) const FINGERPRINT: &str = "
SELECT pg_catalog.textin(pg_catalog.numeric_out(pg_catalog.sum(pg_catalog.hashint8extended(changed.object, changed.by)))) FROM (
    SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin)) FROM pg_catalog.pg_proc WHERE oid >= '16384'
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_class WHERE oid >= '16384' AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_type WHERE oid >= '16384'
    UNION ALL SELECT attrelid::pg_catalog.int8 * 2048 + attnum, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_attribute WHERE attnum > 0 AND (atttypid >= '16384' OR attname IN (
        SELECT p.proname FROM pg_catalog.pg_proc p
        WHERE p.oid >= '16384' AND p.pronargs - p.pronargdefaults <= 1 AND (p.pronargs > 0 OR p.prokind = 'a')))
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_constraint WHERE contype IN ('c', 'x')
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_rewrite WHERE oid >= '16384'
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin)) FROM pg_catalog.pg_policy
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_operator WHERE oid >= '16384'
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_opclass WHERE oid >= '16384'
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_amop WHERE oid >= '16384'
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_amproc WHERE oid >= '16384'
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_cast WHERE oid >= '16384'
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin)) FROM pg_catalog.pg_statistic_ext
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin)) FROM pg_catalog.pg_extension
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin)) FROM pg_catalog.pg_namespace
    UNION ALL SELECT oid::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin)) FROM pg_catalog.pg_language
    UNION ALL SELECT inhrelid::pg_catalog.int8, inhparent::pg_catalog.int8 FROM pg_catalog.pg_inherits
    UNION ALL SELECT roleid::pg_catalog.int8, member::pg_catalog.int8 FROM pg_catalog.pg_auth_members
    UNION ALL SELECT r.oid::pg_catalog.int8, r.rolsuper::pg_catalog.int4 * 2 + r.rolbypassrls::pg_catalog.int4
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
    UNION ALL SELECT setdatabase::pg_catalog.int8 * 65536 + setrole::pg_catalog.int8, pg_catalog.int8in(pg_catalog.xidout(xmin))
    FROM pg_catalog.pg_db_role_setting
) AS changed (object, by)";

/// The text of a user's function ($1): its argument defaults and, in SQL, its body. Of at most $2 characters.
pub(super) const FUNCTION_TEXT: &str = "
SELECT coalesce('SELECT ' || pg_catalog.pg_get_expr(p.proargdefaults, 0) || ';', '')
       || CASE WHEN l.lanname = 'sql' AND p.prosrc <> '' THEN pg_catalog.left(p.prosrc, $2)
               -- A body of the SQL standard (BEGIN ATOMIC, RETURN) is only in the definition.
               WHEN l.lanname = 'sql' THEN pg_catalog.left(pg_catalog.pg_get_functiondef(p.oid), $2)
               ELSE '' END
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.oid = $1";

/// The text of a view ($1), of at most $2 characters.
pub(super) const VIEW_TEXT: &str = "SELECT pg_catalog.left(pg_catalog.pg_get_viewdef($1), $2)";

/// The checks of a domain ($1), each of at most $2 characters.
pub(super) const DOMAIN_TEXTS: &str = "
SELECT 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(k.conbin, 0), $2)
FROM pg_catalog.pg_constraint k WHERE k.contypid = $1 AND k.conbin IS NOT NULL";

/// The conditions of the policies of a table ($1), each of at most $2 characters. Unless $3, only those that apply to
/// this role when it reads.
pub(super) const POLICY_TEXTS: &str = "
SELECT 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(condition.tree, p.polrelid), $2)
FROM pg_catalog.pg_policy p
     CROSS JOIN LATERAL (SELECT p.polqual UNION ALL SELECT p.polwithcheck WHERE $3) AS condition (tree)
WHERE p.polrelid = $1 AND condition.tree IS NOT NULL
      AND ($3 OR pg_catalog.row_security_active(p.polrelid) AND p.polcmd IN ('r', '*') AND (
          p.polroles = '{0}' OR EXISTS (
              SELECT FROM pg_catalog.unnest(p.polroles) AS role (oid)
              WHERE role.oid = '0' OR pg_catalog.pg_has_role(role.oid, 'MEMBER'))))";

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
WHERE pg_catalog.array_to_string(options.options, ' ') ~* looks.secret";
