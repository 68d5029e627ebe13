//! What the names of a statement are in this database, by PostgreSQL's catalogs (manual, chapter 53).
//!
//! A name is looked up over all that it can mean there. Three questions, each of one or two catalogs and prepared once a
//! connection, say what there is under the names; they are sent together, and most statements need no more. Of what a
//! user has made, others say the rest: a function's language and owner's rights, and the text behind a view, a function
//! in SQL, a domain's checks, a policy, which is to be read like the statement itself.

use futures_util::future::try_join3;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use super::syntax::{self, CallOf, Name, Syntax};

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
WHERE c.castfunc >= 16384 AND (c.casttarget = t.oid OR c.castsource = t.oid AND c.castcontext = 'i')
      AND t.typname = ANY ($2)
UNION ALL
SELECT 0, t.typname, t.oid FROM pg_catalog.pg_type t WHERE t.typname = ANY ($2) AND t.oid >= 16384";

/// Relations of these names ($1), and which of these columns ($2) they have.
const RELATIONS: &str = "
SELECT c.oid, c.relname, c.relnamespace::pg_catalog.regnamespace::pg_catalog.text, c.relkind::pg_catalog.text,
       c.relrowsecurity, pg_catalog.pg_table_is_visible(c.oid),
       EXISTS (SELECT FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid >= 16384),
       ARRAY (SELECT a.attname FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attname = ANY ($2) AND NOT a.attisdropped)
FROM pg_catalog.pg_class c WHERE c.relname = ANY ($1)";

/// The rest of a user's functions ($1), the parts of aggregates among them; texts of up to $2 characters.
const OWN_FUNCTIONS: &str = "
WITH wanted (oid) AS (SELECT pg_catalog.unnest($1)),
part (whole, oid) AS (
    SELECT w.oid, w.oid FROM wanted w
    UNION ALL
    SELECT w.oid, parts.oid
    FROM wanted w JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = w.oid,
         LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn), (a.aggserialfn), (a.aggdeserialfn),
                         (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS parts (oid)
    WHERE parts.oid <> 0
)
SELECT part.whole, p.oid, p.proname, p.pronamespace::pg_catalog.regnamespace::pg_catalog.text, p.provolatile = 'v',
       l.lanname, l.lanpltrusted OR p.oid < 16384 OR p.prokind = 'a', p.prosecdef, e.extname,
       CASE WHEN p.oid >= 16384 AND e.oid IS NULL THEN
           coalesce('SELECT ' || pg_catalog.pg_get_expr(p.proargdefaults, 0) || ';', '')
           || CASE WHEN l.lanname = 'sql' AND p.prosrc <> '' THEN pg_catalog.left(p.prosrc, $2)
                   -- A body that PostgreSQL has parsed is in the definition alone.
                   WHEN l.lanname = 'sql' THEN pg_catalog.left(pg_catalog.pg_get_functiondef(p.oid), $2)
                   ELSE '' END
       END
FROM part JOIN pg_catalog.pg_proc p ON p.oid = part.oid
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang
     LEFT JOIN pg_catalog.pg_depend d
         ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
     LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid";

/// The texts of a user's views, policies ($1, relations) and domains ($2, types), of up to $3 characters.
const OWN_TEXTS: &str = "
SELECT c.relname::pg_catalog.text, pg_catalog.left(pg_catalog.pg_get_viewdef(c.oid), $3)
FROM pg_catalog.pg_class c
WHERE c.oid = ANY ($1) AND c.relkind = 'v' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT c.relname, 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(p.polqual, p.polrelid), $3)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
WHERE c.oid = ANY ($1) AND c.relrowsecurity AND p.polqual IS NOT NULL
UNION ALL
SELECT t.typname, 'SELECT ' || pg_catalog.left(pg_catalog.pg_get_expr(k.conbin, 0), $3)
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid
WHERE t.oid = ANY ($2) AND k.conbin IS NOT NULL";

/// Settings whose values hold a password: `password=…` of a connection string, or one in a URL.
const SECRET_SETTINGS: &str = "
SELECT s.name FROM pg_catalog.pg_settings s
WHERE s.setting ~* '(password\\s*=|://[^/@[:space:]]*:[^/@[:space:]]*@)'";

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
            relations: syntax.relations.iter().map(|relation| relation.name.name.clone()).collect(),
            attributes: syntax.attributes.clone(),
            settings: syntax.shown.is_some()
                || syntax.calls.iter().any(is_about_settings)
                || syntax.relations.iter().any(|relation| relation.name.name == "pg_settings"),
        };
        names.functions.extend(syntax.attributes.iter().cloned());
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

    /// What is there under the names of a statement.
    ///
    /// # Errors
    /// The driver's.
    pub(super) async fn look_up(client: &Client, questions: &Questions, syntax: &Syntax) -> Result<Self, Error> {
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
        let mut own = Own::default();
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
        if names.settings {
            for row in client.query_typed(SECRET_SETTINGS, &[]).await? {
                catalog.secret_settings.push(row.try_get(0)?);
            }
        }
        Ok(catalog)
    }

    fn add_function(&mut self, row: &Row, own: &mut Own) -> Result<(), Error> {
        let count = |at| Ok::<_, Error>(usize::try_from(row.try_get::<_, i32>(at)?).unwrap_or_default());
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let schema = unquoted(row.try_get(2)?);
        let is_visible = row.try_get::<_, Vec<String>>(6)?.contains(&schema);
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
        let (has_policies, is_visible, has_own_types): (bool, bool, bool) =
            (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let is_asked = asked.iter().any(|syntax::Relation { name: asked, .. }| {
            asked.name == name && asked.schema.as_ref().map_or(is_visible, |asked| *asked == schema)
        });
        if !is_asked {
            return Ok(());
        }
        self.columns.extend(row.try_get::<_, Vec<String>>(7)?);
        let is_own = oid >= OWN;
        if is_own && (kind == "v" || has_policies) {
            own.relations.push(oid);
        }
        let is_plain = !is_own || (matches!(kind, "r" | "p" | "m") && !has_policies && !has_own_types);
        self.relations.push(Relation { name, is_plain });
        Ok(())
    }

    /// Add what is to be known of what a user has made.
    async fn add_own(&mut self, client: &Client, own: Own) -> Result<(), Error> {
        let functions = own.functions.iter().map(|(oid, _)| *oid);
        let functions: Vec<u32> = functions.chain(own.stand_ins.iter().map(|(oid, _)| *oid)).collect();
        if !functions.is_empty() {
            let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                [(&functions, Type::OID_ARRAY), (&TEXT_CHARS_MAX, Type::INT4)];
            for row in client.query_typed(OWN_FUNCTIONS, &parameters).await? {
                let (whole, oid): (u32, u32) = (row.try_get(0)?, row.try_get(1)?);
                let called = own.functions.iter().filter(|(called, _)| *called == whole).map(|(_, at)| *at);
                let stands =
                    own.stand_ins.iter().filter(|(stands, _)| *stands == whole).map(|(_, asked)| asked.clone());
                let hidden: Vec<String> = match whole == oid {
                    true => stands.collect(),
                    // A part of an aggregate.
                    false => called.clone().map(|at| self.functions[at].asked.clone()).chain(stands).collect(),
                };
                let detail = |function: &mut Function| -> Result<(), Error> {
                    function.language = row.try_get(5)?;
                    function.is_trusted = row.try_get(6)?;
                    function.is_definer = row.try_get(7)?;
                    function.extension = row.try_get(8)?;
                    function.text = row.try_get::<_, Option<String>>(9)?.filter(|text| !text.is_empty());
                    Ok(())
                };
                if whole == oid {
                    for at in called {
                        detail(&mut self.functions[at])?;
                    }
                }
                for asked in hidden {
                    let mut function = Function {
                        asked,
                        is_called: false,
                        schema: unquoted(row.try_get(3)?),
                        name: row.try_get(2)?,
                        is_volatile: row.try_get(4)?,
                        ..Function::default()
                    };
                    detail(&mut function)?;
                    self.functions.push(function);
                }
            }
        }
        if !own.relations.is_empty() || !own.types.is_empty() {
            let parameters: [(&(dyn ToSql + Sync), Type); 3] =
                [(&own.relations, Type::OID_ARRAY), (&own.types, Type::OID_ARRAY), (&TEXT_CHARS_MAX, Type::INT4)];
            for row in client.query_typed(OWN_TEXTS, &parameters).await? {
                if let Some(text) = row.try_get(1)? {
                    self.texts.push((row.try_get(0)?, text));
                }
            }
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
}

/// A schema's name as `regnamespace` writes it, in quotes where it needs them.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}
