//! What the names of a statement are in this database, by PostgreSQL's catalogs (manual, chapter 53).
//!
//! A name is looked up over all that it can mean there. Three questions, each of one or two catalogs and prepared once a
//! connection, say what there is under the names; they are sent together, and most statements need no more. Of what a
//! user has made, others say the rest: a function's language and owner's rights; what runs because a value has a type of
//! theirs; and the text behind a view, a function in SQL, a domain's checks, a policy, which is to be read like the
//! statement itself.

use futures_util::future::{try_join, try_join3};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use super::policy::is_hoard;
use super::syntax::{self, CallOf, Name, Syntax};

/// The longest text behind a name that is read, in characters; more is taken for unreadable.
const TEXT_CHARS_MAX: i32 = 200_000;

/// What there is under the names of a statement.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// Functions under a name that is called, or that stands for one: an operator, a cast, an aggregate's parts.
    pub(super) functions: Vec<Function>,
    pub(super) relations: Vec<Relation>,
    /// Columns of these relations, by the relation's name and their own.
    pub(super) columns: Vec<(String, String)>,
    /// A type is named that PostgreSQL itself does not have.
    pub(super) has_own_types: bool,
    /// Texts that are run with the statement beside those of functions.
    pub(super) texts: Vec<Text>,
    /// Where there are secrets, and of settings their names.
    pub(super) secrets: Vec<(Hoard, String)>,
}

/// Where secrets may be, or not: it is looked whether they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hoard {
    /// Settings of the server.
    Settings,
    /// Settings of roles and databases.
    RoleSettings,
    /// Values of columns, as ANALYZE has found them: those of the column of password hashes.
    Statistics,
    /// Options of foreign servers.
    ServerOptions,
}

/// SQL that is run with a statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Text {
    /// What it is of.
    pub(super) of: String,
    pub(super) sql: String,
    /// Its names may mean what they mean in any schema: it is run with a search path of its own.
    pub(super) is_elsewhere: bool,
}

/// What a function's name stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// PostgreSQL itself has it.
    pub(super) is_builtin: bool,
    /// What it runs, if that is SQL of a user.
    pub(super) text: Option<Text>,
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
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) name: String,
    /// A table, a partitioned table or a materialised view, whose columns have types that PostgreSQL itself has, without
    /// policies: reading it runs nothing but the statement. Or PostgreSQL's own view.
    pub(super) is_plain: bool,
}

/// The first identifier of what is not part of PostgreSQL itself (FirstNormalObjectId in access/transam.h).
const OWN: u32 = 16384;

/// Functions of these names.
const FUNCTIONS: &str = "
SELECT p.oid, p.proname, p.pronamespace::pg_catalog.regnamespace::pg_catalog.text, p.provolatile = 'v',
       (p.pronargs - p.pronargdefaults)::pg_catalog.int4,
       CASE WHEN p.provariadic <> 0 OR p.prokind = 'a' THEN 1000 ELSE p.pronargs END,
       pg_catalog.current_schemas(true)
FROM pg_catalog.pg_proc p WHERE p.proname = ANY ($1)";

/// Functions that a user's operators of these names ($1), or casts from and to types of these names ($2), stand for;
/// and a user's types of these names.
const STAND_INS: &str = "
SELECT o.oprcode::pg_catalog.oid, o.oprname::pg_catalog.text, 0::pg_catalog.oid
FROM pg_catalog.pg_operator o WHERE o.oprname = ANY ($1) AND o.oid >= 16384
UNION ALL
SELECT c.castfunc, t.typname, 0
FROM pg_catalog.pg_cast c, pg_catalog.pg_type t
WHERE c.oid >= 16384 AND c.castfunc <> 0 AND (c.casttarget = t.oid OR c.castsource = t.oid AND c.castcontext = 'i')
      AND t.typname = ANY ($2)
UNION ALL
SELECT 0, t.typname, t.oid FROM pg_catalog.pg_type t WHERE t.typname = ANY ($2) AND t.oid >= 16384";

/// Relations of these names ($1), the user's types that their columns have, and which of these columns ($2) they have.
const RELATIONS: &str = "
SELECT c.oid, c.relname, c.relnamespace::pg_catalog.regnamespace::pg_catalog.text, c.relkind::pg_catalog.text,
       c.relrowsecurity, pg_catalog.pg_table_is_visible(c.oid),
       ARRAY (SELECT DISTINCT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384),
       ARRAY (SELECT a.attname FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attname = ANY ($2) AND NOT a.attisdropped)
FROM pg_catalog.pg_class c WHERE c.relname = ANY ($1)";

/// The types of a user's of which a value can be: these ($1), those that these functions ($2) take and give, and what is
/// in all of them as elements, fields, bounds, or under a domain.
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

/// The rest of a user's functions ($4), the parts of aggregates among them; texts of up to $3 characters. And what runs
/// because of a type (of types $1 and functions $2): its casts that nobody writes, and what compares and sorts its values; but not what is in C
/// (language 13) and not volatile, as that of extensions is.
const OWN_FUNCTIONS: &str = with_types!(
    ", wanted (oid, type) AS (
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
    SELECT w.oid, w.oid, w.type FROM wanted w
    UNION ALL
    SELECT w.oid, parts.oid, w.type
    FROM wanted w JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = w.oid,
         LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn), (a.aggserialfn), (a.aggdeserialfn),
                         (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS parts (oid)
    WHERE parts.oid <> 0
)
SELECT part.whole, p.oid, p.proname, p.pronamespace::pg_catalog.regnamespace::pg_catalog.text, p.provolatile = 'v',
       l.lanname, l.lanpltrusted OR p.oid < 16384 OR p.prokind = 'a', p.prosecdef, e.extname,
       CASE WHEN p.oid >= 16384 AND e.oid IS NULL THEN
           coalesce('SELECT ' || pg_catalog.pg_get_expr(p.proargdefaults, 0) || ';', '')
           || CASE WHEN l.lanname = 'sql' AND p.prosrc <> '' THEN pg_catalog.left(p.prosrc, $3)
                   -- A body that PostgreSQL has parsed is in the definition alone.
                   WHEN l.lanname = 'sql' THEN pg_catalog.left(pg_catalog.pg_get_functiondef(p.oid), $3)
                   ELSE '' END
       END,
       EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%'),
       part.type
FROM part JOIN pg_catalog.pg_proc p ON p.oid = part.oid
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
);

/// The texts of a user's domains (of types $1 and functions $2), views and policies ($4, relations), of up to $3
/// characters.
const OWN_TEXTS: &str = with_types!(
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

/// What a secret looks like: `password=…` and its like, as a part of a connection string or as a setting, or a password
/// in a URL. Of those that are there for this role, where they are (see [`Hoard`]) and the setting's name.
const SECRETS: &str = r"
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
WHERE s.schemaname = 'pg_catalog' AND s.tablename = 'pg_authid' AND s.attname = 'rolpassword'
UNION ALL
SELECT 4, '' FROM pg_catalog.pg_foreign_server s, looks WHERE s.srvoptions::pg_catalog.text ~* looks.secret";

/// The questions that most statements need, as a connection keeps them.
#[derive(Debug)]
pub struct Questions {
    functions: Statement,
    stand_ins: Statement,
    relations: Statement,
}

impl Questions {
    /// Have PostgreSQL parse them.
    ///
    /// # Errors
    /// The driver's.
    pub async fn prepare(client: &Client) -> Result<Self, Error> {
        let texts = [Type::TEXT_ARRAY, Type::TEXT_ARRAY];
        let (functions, stand_ins, relations) = try_join3(
            client.prepare_typed(FUNCTIONS, &texts[..1]),
            client.prepare_typed(STAND_INS, &texts),
            client.prepare_typed(RELATIONS, &texts),
        )
        .await?;
        Ok(Self { functions, stand_ins, relations })
    }
}

/// The names of a statement, each once.
#[derive(Debug, Default)]
struct Names {
    functions: Vec<String>,
    operators: Vec<String>,
    types: Vec<String>,
    relations: Vec<String>,
    attributes: Vec<String>,
    /// Something that shows secrets if there are some.
    hoards: bool,
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
            relations: syntax.relations.iter().map(|relation| relation.name.name.clone()).collect(),
            attributes: syntax.attributes.iter().map(|attribute| attribute.name.clone()).collect(),
            hoards: syntax.shown.is_some()
                || syntax.calls.iter().any(is_about_settings)
                || syntax.relations.iter().any(|relation| is_hoard(&relation.name.name)),
        };
        names.functions.extend(names.attributes.iter().cloned());
        distinct(&mut names.functions);
        distinct(&mut names.operators);
        distinct(&mut names.types);
        distinct(&mut names.attributes);
        distinct(&mut names.relations);
        names
    }

    fn is_empty(&self) -> bool {
        self.functions.is_empty()
            && self.operators.is_empty()
            && self.types.is_empty()
            && self.relations.is_empty()
            && !self.hoards
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

    /// What is there under the names of a statement; in any schema if it `is_elsewhere`.
    ///
    /// # Errors
    /// The driver's.
    pub(super) async fn look_up(
        client: &Client,
        questions: &Questions,
        syntax: &Syntax,
        is_elsewhere: bool,
    ) -> Result<Self, Error> {
        let names = Names::of(syntax);
        let ask = async |question: &Statement, is_needed: bool, parameters: &[&(dyn ToSql + Sync)]| match is_needed {
            true => client.query(question, parameters).await,
            false => Ok(Vec::new()),
        };
        // Joined, they are sent without waiting for each other.
        let (functions, stand_ins, relations) = try_join3(
            ask(&questions.functions, !names.functions.is_empty(), &[&names.functions]),
            ask(
                &questions.stand_ins,
                !names.operators.is_empty() || !names.types.is_empty(),
                &[&names.operators, &names.types],
            ),
            ask(&questions.relations, !names.relations.is_empty(), &[&names.relations, &names.attributes]),
        )
        .await?;
        let mut catalog = Self::default();
        let mut own = Own { is_elsewhere, ..Own::default() };
        for row in &functions {
            catalog.add_function(row, &mut own)?;
        }
        for row in &stand_ins {
            let (function, asked, own_type): (u32, String, u32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if own_type == 0 {
                own.stand_ins.push((function, asked));
            } else {
                catalog.has_own_types = true;
                own.types.push(own_type);
            }
        }
        for row in &relations {
            catalog.add_relation(row, &syntax.relations, &mut own)?;
        }
        catalog.add_own(client, own).await?;
        if names.hoards {
            for row in client.query_typed(SECRETS, &[]).await? {
                let hoard = match row.try_get::<_, i32>(0)? {
                    1 => Hoard::Settings,
                    2 => Hoard::RoleSettings,
                    3 => Hoard::Statistics,
                    _ => Hoard::ServerOptions,
                };
                catalog.secrets.push((hoard, row.try_get(1)?));
            }
        }
        Ok(catalog)
    }

    fn add_function(&mut self, row: &Row, own: &mut Own) -> Result<(), Error> {
        let count = |at| Ok::<_, Error>(usize::try_from(row.try_get::<_, i32>(at)?).unwrap_or_default());
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let schema = unquoted(row.try_get(2)?);
        let is_visible = own.is_elsewhere || row.try_get::<_, Vec<String>>(6)?.contains(&schema);
        if oid >= OWN {
            own.functions.push((oid, self.functions.len()));
        }
        self.functions.push(Function {
            asked: name.clone(),
            is_called: true,
            schema,
            name,
            is_volatile: row.try_get(3)?,
            language: String::new(),
            is_trusted: true,
            is_definer: false,
            extension: None,
            is_builtin: oid < OWN,
            text: None,
            arguments_min: count(4)?,
            arguments_max: count(5)?,
            is_visible,
        });
        Ok(())
    }

    fn add_relation(&mut self, row: &Row, asked: &[syntax::Relation], own: &mut Own) -> Result<(), Error> {
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let (schema, kind): (String, &str) = (unquoted(row.try_get(2)?), row.try_get(3)?);
        let (has_policies, is_visible, own_types): (bool, bool, Vec<u32>) =
            (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let is_visible = own.is_elsewhere || is_visible;
        let is_asked = asked.iter().any(|syntax::Relation { name: asked, .. }| {
            asked.name == name && asked.schema.as_ref().map_or(is_visible, |asked| *asked == schema)
        });
        if !is_asked {
            return Ok(());
        }
        self.columns.extend(row.try_get::<_, Vec<String>>(7)?.into_iter().map(|column| (name.clone(), column)));
        let is_own = oid >= OWN;
        if is_own && (kind == "v" || has_policies) {
            own.relations.push(oid);
        }
        let is_plain = !is_own || (matches!(kind, "r" | "p" | "m") && !has_policies && own_types.is_empty());
        own.types.extend(own_types);
        self.relations.push(Relation { name, is_plain });
        Ok(())
    }

    /// Add what is to be known of what a user has made.
    async fn add_own(&mut self, client: &Client, own: Own) -> Result<(), Error> {
        if own.functions.is_empty() && own.stand_ins.is_empty() && own.types.is_empty() && own.relations.is_empty() {
            return Ok(());
        }
        let called: Vec<u32> = own.functions.iter().map(|(oid, _)| *oid).collect();
        let all: Vec<u32> = called.iter().copied().chain(own.stand_ins.iter().map(|(oid, _)| *oid)).collect();
        let oids = |oids| -> (&(dyn ToSql + Sync), Type) { (oids, Type::OID_ARRAY) };
        let max: (&(dyn ToSql + Sync), Type) = (&TEXT_CHARS_MAX, Type::INT4);
        // What an operator or a cast takes tells nothing: there are others of that name, for other types.
        let (types, called, all, relations) = (oids(&own.types), oids(&called), oids(&all), oids(&own.relations));
        // Joined, they are sent without waiting for each other.
        let (details, texts) = try_join(
            client.query_typed(OWN_FUNCTIONS, &[types.clone(), called.clone(), max.clone(), all]),
            client.query_typed(OWN_TEXTS, &[types, called, max, relations]),
        )
        .await?;
        for row in &details {
            self.add_own_function(row, &own)?;
        }
        for row in &texts {
            if let Some(sql) = row.try_get(1)? {
                self.texts.push(Text { of: row.try_get(0)?, sql, is_elsewhere: own.is_elsewhere });
            }
        }
        Ok(())
    }

    /// Complete a function that is called, or add what else runs.
    fn add_own_function(&mut self, row: &Row, own: &Own) -> Result<(), Error> {
        let (whole, oid): (u32, u32) = (row.try_get(0)?, row.try_get(1)?);
        let (schema, name): (String, String) = (unquoted(row.try_get(3)?), row.try_get(2)?);
        let has_search_path: bool = row.try_get(10)?;
        let text = row.try_get::<_, Option<String>>(9)?.filter(|text| !text.is_empty()).map(|sql| Text {
            of: format!("{schema}.{name}"),
            sql,
            is_elsewhere: own.is_elsewhere || has_search_path,
        });
        let found = Function {
            schema,
            name,
            is_volatile: row.try_get(4)?,
            language: row.try_get(5)?,
            is_trusted: row.try_get(6)?,
            is_definer: row.try_get(7)?,
            extension: row.try_get(8)?,
            is_builtin: oid < OWN,
            text,
            ..Function::default()
        };
        if let Some(asked) = row.try_get(11)? {
            self.functions.push(Function { asked, ..found });
            return Ok(());
        }
        for (_, at) in own.functions.iter().filter(|(called, _)| *called == whole) {
            let called = &mut self.functions[*at];
            if whole == oid {
                *called = Function {
                    asked: called.asked.clone(),
                    is_called: true,
                    arguments_min: called.arguments_min,
                    arguments_max: called.arguments_max,
                    is_visible: called.is_visible,
                    ..found.clone()
                };
            } else {
                // A part of an aggregate.
                let asked = called.asked.clone();
                self.functions.push(Function { asked, ..found.clone() });
            }
        }
        for (_, asked) in own.stand_ins.iter().filter(|(stands, _)| *stands == whole) {
            self.functions.push(Function { asked: asked.clone(), ..found.clone() });
        }
        Ok(())
    }
}

/// What a user has made, of what was found.
#[derive(Debug, Default)]
struct Own {
    /// With their places among the catalog's functions.
    functions: Vec<(u32, usize)>,
    /// Functions, with what stands for them.
    stand_ins: Vec<(u32, String)>,
    relations: Vec<u32>,
    types: Vec<u32>,
    /// Of a text that is run with a search path of its own.
    is_elsewhere: bool,
}

/// A schema's name as `regnamespace` writes it, in quotes where it needs them.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}
