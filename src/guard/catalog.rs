//! What the names of a statement are in this database: one question to PostgreSQL's catalogs (manual, chapter 53).
//!
//! A name is looked up over all that it can mean there. What another text stands behind (a view, a function in SQL, a
//! domain's checks, a policy) comes with that text, to be read like the statement itself.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row, Statement};

use super::syntax::{CallOf, Name, Syntax};

/// The longest text behind a name that is read, in characters; more is taken for unreadable.
const TEXT_CHARS_MAX: i32 = 200_000;

/// What there is under the names of a statement.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// Functions under a name that is called, or that stands for one: an operator, a cast, an aggregate's parts.
    pub(super) functions: Vec<Function>,
    pub(super) relations: Vec<Relation>,
    /// Columns, by name, of these relations.
    pub(super) columns: Vec<String>,
    /// A type is named that PostgreSQL itself does not have.
    pub(super) has_own_types: bool,
    /// Texts that are run with the statement beside those of functions, and what they are of.
    pub(super) texts: Vec<(String, String)>,
    /// Settings whose values hold a password.
    pub(super) secret_settings: Vec<String>,
}

/// What a function's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    /// What the statement says: the function's name, an operator, a type, an aggregate.
    pub(super) asked: String,
    /// The statement calls it by its name.
    pub(super) is_called: bool,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) is_volatile: bool,
    pub(super) language: String,
    pub(super) is_trusted: bool,
    pub(super) is_definer: bool,
    pub(super) extension: Option<String>,
    /// What it runs, if that is SQL of a user.
    pub(super) text: Option<String>,
    arguments_min: usize,
    arguments_max: usize,
    /// Found without its schema.
    is_visible: bool,
}

impl Function {
    /// Whether that name can be this function.
    pub(super) fn answers_to(&self, name: &Name) -> bool {
        self.is_called
            && self.name == name.name
            && name.schema.as_ref().map_or(self.is_visible, |schema| *schema == self.schema)
    }

    /// Whether it takes so many arguments.
    pub(super) fn takes(&self, arguments: usize) -> bool {
        (self.arguments_min..=self.arguments_max).contains(&arguments)
    }

    /// Whether PostgreSQL itself has it.
    pub(super) fn is_builtin(&self) -> bool {
        self.schema == "pg_catalog" && self.extension.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: String,
    /// A table, a partitioned table or a materialised view, whose columns have types that PostgreSQL itself has, without
    /// policies: reading it runs nothing but the statement. Or PostgreSQL's own view.
    pub(super) is_plain: bool,
}

/// Every overload, operator, cast and so on of these names. $1 functions, $2 operators, $3 types, $4 relations, $5 their
/// schemas or the empty text, $6 attributes, $7 whether settings matter.
const LOOK_UP: &str = "
WITH path AS (SELECT pg_catalog.current_schemas(true) AS schemas),
relation AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity,
           EXISTS (SELECT FROM pg_catalog.pg_depend d
                   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                         AND d.deptype = 'e') AS extends
    FROM ROWS FROM (pg_catalog.unnest($4::pg_catalog.text[]), pg_catalog.unnest($5::pg_catalog.text[]))
             AS asked (name, schema)
         JOIN pg_catalog.pg_class c ON c.relname = asked.name
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE CASE asked.schema WHEN '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = asked.schema END
),
found AS (
    SELECT p.oid, p.proname::pg_catalog.text AS asked, true AS is_called
    FROM pg_catalog.pg_proc p WHERE p.proname = ANY ($1)
    UNION ALL
    SELECT part, p.proname, false
    FROM pg_catalog.pg_proc p
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
         JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid,
         LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn), (a.aggserialfn), (a.aggdeserialfn),
                         (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS parts (part)
    WHERE p.proname = ANY ($1) AND n.nspname <> 'pg_catalog' AND part <> 0
    UNION ALL
    SELECT o.oprcode, o.oprname, false
    FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    WHERE o.oprname = ANY ($2) AND n.nspname <> 'pg_catalog' AND o.oprcode <> 0
    UNION ALL
    SELECT c.castfunc, t.typname, false
    FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.casttarget
    WHERE t.typname = ANY ($3) AND c.castfunc >= 16384
    UNION ALL
    SELECT c.castfunc, t.typname, false
    FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid = c.castsource
    WHERE t.typname = ANY ($3) AND c.castfunc >= 16384 AND c.castcontext = 'i'
)
SELECT 'function', found.asked, found.is_called, n.nspname, p.proname, p.provolatile = 'v', l.lanname,
       l.lanpltrusted OR p.oid < 16384 OR p.prokind = 'a', p.prosecdef, e.extname,
       (p.pronargs - p.pronargdefaults)::pg_catalog.int4,
       CASE WHEN p.provariadic <> 0 OR p.prokind = 'a' THEN 1000 ELSE p.pronargs END,
       n.nspname = ANY (path.schemas),
       CASE WHEN p.oid >= 16384 AND e.oid IS NULL THEN
           coalesce('SELECT ' || pg_catalog.pg_get_expr(p.proargdefaults, 0) || ';', '')
           || CASE WHEN l.lanname = 'sql' AND p.prosrc <> '' THEN pg_catalog.left(p.prosrc, $8)
                   -- A body that PostgreSQL has parsed is in the definition alone.
                   WHEN l.lanname = 'sql' THEN pg_catalog.left(pg_catalog.pg_get_functiondef(p.oid), $8)
                   ELSE '' END
       END
FROM found JOIN pg_catalog.pg_proc p ON p.oid = found.oid
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid,
     path
UNION ALL
SELECT 'relation', r.relname, r.nspname IN ('pg_catalog', 'information_schema')
       OR (r.relkind IN ('r', 'p', 'm') AND NOT r.relrowsecurity AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
               WHERE a.attrelid = r.oid AND a.attnum > 0 AND t.oid >= 16384 AND t.typtype <> 'e')),
       r.nspname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       CASE WHEN r.relkind = 'v' AND NOT r.extends AND r.nspname NOT IN ('pg_catalog', 'information_schema')
            THEN pg_catalog.left(pg_catalog.pg_get_viewdef(r.oid), $8) END
FROM relation r
UNION ALL
SELECT 'column', a.attname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attname = ANY ($6)
WHERE NOT a.attisdropped
UNION ALL
SELECT 'policy', r.relname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(p.polqual, p.polrelid), $8)
FROM relation r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
WHERE r.relrowsecurity AND p.polqual IS NOT NULL
UNION ALL
SELECT 'type', t.typname, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(k.conbin, 0), $8)
FROM path, pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     LEFT JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid
WHERE t.typname = ANY ($3) AND n.nspname <> 'pg_catalog'
UNION ALL
SELECT 'setting', s.name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_settings s
WHERE $7 AND s.setting ~* '(password\\s*=|://[^/@[:space:]]*:[^/@[:space:]]*@)'";

/// The types of the parameters.
const PARAMETERS: [Type; 8] = [
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::BOOL,
    Type::INT4,
];

/// The names of a statement, each once.
#[derive(Debug, Default)]
struct Names {
    functions: Vec<String>,
    operators: Vec<String>,
    types: Vec<String>,
    relations: Vec<String>,
    schemas: Vec<String>,
    attributes: Vec<String>,
    settings: bool,
}

impl Names {
    fn of(syntax: &Syntax) -> Self {
        let distinct = |names: &mut Vec<String>| {
            names.sort_unstable();
            names.dedup();
        };
        let mut names = Self {
            functions: syntax.calls.iter().map(|call| call.function.name.clone()).collect(),
            operators: syntax.operators.iter().map(|name| name.name.clone()).collect(),
            types: syntax.types.iter().map(|name| name.name.clone()).collect(),
            attributes: syntax.attributes.clone(),
            settings: syntax.shown.is_some()
                || syntax.calls.iter().any(is_about_settings)
                || syntax.relations.iter().any(|relation| relation.name.name == "pg_settings"),
            ..Self::default()
        };
        names.functions.extend(syntax.attributes.iter().cloned());
        distinct(&mut names.functions);
        distinct(&mut names.operators);
        distinct(&mut names.types);
        distinct(&mut names.attributes);
        let mut relations: Vec<_> = syntax.relations.iter().map(|relation| relation.name.clone()).collect();
        relations.sort_unstable();
        relations.dedup();
        for Name { schema, name } in relations {
            names.relations.push(name);
            names.schemas.push(schema.unwrap_or_default());
        }
        names
    }

    fn is_empty(&self) -> bool {
        self.functions.is_empty()
            && self.operators.is_empty()
            && self.types.is_empty()
            && self.relations.is_empty()
            && !self.settings
    }
}

/// Whether a call gives settings.
pub(super) fn is_about_settings(call: &CallOf) -> bool {
    matches!(&*call.function.name, "current_setting" | "pg_show_all_settings")
}

impl Catalog {
    /// Whether there is anything to look up.
    pub(super) fn is_needed(syntax: &Syntax) -> bool {
        !Names::of(syntax).is_empty()
    }

    /// The question, as a statement that a connection keeps.
    ///
    /// # Errors
    /// The driver's.
    pub(super) async fn prepare(client: &Client) -> Result<Statement, Error> {
        client.prepare_typed(LOOK_UP, &PARAMETERS).await
    }

    /// What is there under the names of a statement.
    ///
    /// # Errors
    /// The driver's.
    pub(super) async fn look_up(client: &Client, question: &Statement, syntax: &Syntax) -> Result<Self, Error> {
        let names = Names::of(syntax);
        let rows = client
            .query(
                question,
                &[
                    &names.functions,
                    &names.operators,
                    &names.types,
                    &names.relations,
                    &names.schemas,
                    &names.attributes,
                    &names.settings,
                    &TEXT_CHARS_MAX,
                ],
            )
            .await?;
        let mut catalog = Self::default();
        for row in &rows {
            catalog.add(row)?;
        }
        Ok(catalog)
    }

    fn add(&mut self, row: &Row) -> Result<(), Error> {
        let asked: String = row.try_get(1)?;
        let text = row.try_get::<_, Option<String>>(13)?;
        let kind = row.try_get(0)?;
        match kind {
            "function" => {
                let count = |at| Ok::<_, Error>(usize::try_from(row.try_get::<_, i32>(at)?).unwrap_or_default());
                self.functions.push(Function {
                    asked,
                    is_called: row.try_get(2)?,
                    schema: row.try_get(3)?,
                    name: row.try_get(4)?,
                    is_volatile: row.try_get(5)?,
                    language: row.try_get(6)?,
                    is_trusted: row.try_get(7)?,
                    is_definer: row.try_get(8)?,
                    extension: row.try_get(9)?,
                    text,
                    arguments_min: count(10)?,
                    arguments_max: count(11)?,
                    is_visible: row.try_get(12)?,
                });
                return Ok(());
            }
            "relation" => {
                self.relations.push(Relation {
                    schema: row.try_get(3)?,
                    name: asked.clone(),
                    is_plain: row.try_get(2)?,
                });
            }
            "column" => self.columns.push(asked.clone()),
            "type" => self.has_own_types = true,
            "setting" => self.secret_settings.push(asked.clone()),
            _ => {}
        }
        if let Some(text) = text {
            self.texts.push((asked, text));
        }
        Ok(())
    }
}
