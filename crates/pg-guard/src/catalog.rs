//! What the names of a statement are in this database, by PostgreSQL's catalogs (manual, chapter 53).
//!
//! A name is looked up over all that it can mean there. Three questions, each of one or two catalogs and prepared once a
//! connection, say what there is under the names; they are sent together, and most statements need no more. Of what a
//! user has made, others say the rest: a function's language and owner's rights; what runs because a value has a type of
//! theirs; and the text behind a view, a function in SQL, a domain's checks, a policy, which is to be read like the
//! statement itself.

use futures_util::future::{try_join, try_join3};
use tokio::sync::OnceCell;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use crate::secrets::{SecretSource, holds_secrets};
use crate::syntax::{self, CallOf, Name, Syntax};

mod queries;

use queries::{FUNCTIONS, IMPLICIT_FUNCTIONS, OWN_FUNCTIONS, OWN_TEXTS, RELATIONS, SECRETS};

/// The longest text behind a name that is read, in characters; more is taken for unreadable.
const TEXT_CHARS_MAX: i32 = 200_000;

/// What there is under the names of a statement.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// Functions under a name that is called, or that stands for one: an operator, a cast, an aggregate's parts.
    pub(crate) functions: Vec<Function>,
    pub(crate) relations: Vec<Relation>,
    /// Columns of these relations, by the relation's name and their own.
    pub(crate) columns: Vec<(String, String)>,
    /// A type is named that PostgreSQL itself does not have.
    pub(crate) has_own_types: bool,
    /// Texts that are run with the statement beside those of functions.
    pub(crate) texts: Vec<Text>,
    /// Where there are secrets, and of settings their names.
    pub(crate) secrets: Vec<(SecretSource, String)>,
}

/// SQL that is run with a statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    /// What it is of.
    pub(crate) of: String,
    pub(crate) sql: String,
    /// Its names may mean what they mean in any schema: it is run with a search path of its own.
    pub(crate) any_schema: bool,
}

/// What a function's name stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Function {
    /// What the statement says: the function's name, an operator, a type, an aggregate.
    pub(crate) requested_name: String,
    /// The statement calls it by its name.
    pub(crate) is_called: bool,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) is_volatile: bool,
    pub(crate) language: String,
    pub(crate) is_trusted: bool,
    pub(crate) is_definer: bool,
    pub(crate) extension: Option<String>,
    /// PostgreSQL itself has it.
    pub(crate) is_builtin: bool,
    /// What it runs, if that is SQL of a user.
    pub(crate) text: Option<Text>,
    arguments_min: usize,
    arguments_max: usize,
    /// Found without its schema.
    is_visible: bool,
}

impl Function {
    /// Whether that name can be this function.
    pub(crate) fn answers_to(&self, name: &Name) -> bool {
        self.is_called
            && self.name == name.name
            && name.schema.as_ref().map_or(self.is_visible, |schema| *schema == self.schema)
    }

    /// Whether it takes so many arguments.
    pub(crate) fn takes(&self, arguments: usize) -> bool {
        (self.arguments_min..=self.arguments_max).contains(&arguments)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// A table, a partitioned table or a materialised view, whose columns have types that PostgreSQL itself has, without
    /// policies: reading it runs nothing but the statement. Or PostgreSQL's own view.
    pub(crate) is_plain: bool,
}

/// The first identifier of what is not part of PostgreSQL itself (FirstNormalObjectId in access/transam.h).
const OWN: u32 = 16384;

/// The questions that most statements need, prepared on a connection when it is asked first. A connection has one of
/// these, which stays with it.
#[derive(Debug, Default)]
pub struct Questions(OnceCell<Prepared>);

#[derive(Debug)]
struct Prepared {
    functions: Statement,
    implicit_functions: Statement,
    relations: Statement,
}

impl Questions {
    async fn prepared(&self, client: &Client) -> Result<&Prepared, Error> {
        self.0.get_or_try_init(|| Prepared::on(client)).await
    }
}

impl Prepared {
    async fn on(client: &Client) -> Result<Self, Error> {
        let texts = [Type::TEXT_ARRAY, Type::TEXT_ARRAY];
        let (functions, implicit_functions, relations) = try_join3(
            client.prepare_typed(FUNCTIONS, &texts[..1]),
            client.prepare_typed(IMPLICIT_FUNCTIONS, &texts),
            client.prepare_typed(RELATIONS, &texts),
        )
        .await?;
        Ok(Self { functions, implicit_functions, relations })
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
    may_hold_secrets: bool,
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
            may_hold_secrets: syntax.shown.is_some()
                || syntax.calls.iter().any(CallOf::is_about_settings)
                || syntax.relations.iter().any(|relation| holds_secrets(&relation.name.name)),
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
            && !self.may_hold_secrets
    }
}

impl Catalog {
    /// Whether there is anything to look up.
    pub(crate) fn is_needed(syntax: &Syntax) -> bool {
        !Names::of(syntax).is_empty()
    }

    /// What is there under the names of a statement; in any schema if it `any_schema`.
    ///
    /// # Errors
    /// The driver's.
    pub(crate) async fn look_up(
        client: &Client,
        questions: &Questions,
        syntax: &Syntax,
        any_schema: bool,
    ) -> Result<Self, Error> {
        let names = Names::of(syntax);
        let questions = questions.prepared(client).await?;
        let ask = async |question: &Statement, is_needed: bool, parameters: &[&(dyn ToSql + Sync)]| match is_needed {
            true => client.query(question, parameters).await,
            false => Ok(Vec::new()),
        };
        // Joined, they are sent without waiting for each other.
        let (functions, implicit_functions, relations) = try_join3(
            ask(&questions.functions, !names.functions.is_empty(), &[&names.functions]),
            ask(
                &questions.implicit_functions,
                !names.operators.is_empty() || !names.types.is_empty(),
                &[&names.operators, &names.types],
            ),
            ask(&questions.relations, !names.relations.is_empty(), &[&names.relations, &names.attributes]),
        )
        .await?;
        let mut catalog = Self::default();
        let mut user = UserDefined { any_schema, ..UserDefined::default() };
        for row in &functions {
            catalog.add_function(row, &mut user)?;
        }
        for row in &implicit_functions {
            let (function, requested_name, own_type): (u32, String, u32) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if own_type == 0 {
                user.implicit_functions.push((function, requested_name));
            } else {
                catalog.has_own_types = true;
                user.types.push(own_type);
            }
        }
        for row in &relations {
            catalog.add_relation(row, &syntax.relations, &mut user)?;
        }
        catalog.add_own(client, user).await?;
        if names.may_hold_secrets {
            for row in client.query_typed(SECRETS, &[]).await? {
                let source = match row.try_get::<_, i32>(0)? {
                    1 => SecretSource::Settings,
                    2 => SecretSource::RoleSettings,
                    3 => SecretSource::Statistics,
                    _ => SecretSource::ServerOptions,
                };
                catalog.secrets.push((source, row.try_get(1)?));
            }
        }
        Ok(catalog)
    }

    fn add_function(&mut self, row: &Row, user: &mut UserDefined) -> Result<(), Error> {
        let count = |at| Ok::<_, Error>(usize::try_from(row.try_get::<_, i32>(at)?).unwrap_or_default());
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let schema = unquoted(row.try_get(2)?);
        let is_visible = user.any_schema || row.try_get::<_, Vec<String>>(6)?.contains(&schema);
        if oid >= OWN {
            user.functions.push((oid, self.functions.len()));
        }
        self.functions.push(Function {
            requested_name: name.clone(),
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

    fn add_relation(&mut self, row: &Row, named: &[syntax::Relation], user: &mut UserDefined) -> Result<(), Error> {
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let (schema, kind): (String, &str) = (unquoted(row.try_get(2)?), row.try_get(3)?);
        let (has_policies, is_visible, own_types): (bool, bool, Vec<u32>) =
            (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let is_visible = user.any_schema || is_visible;
        let is_named = named.iter().any(|syntax::Relation { name: named, .. }| {
            named.name == name && named.schema.as_ref().map_or(is_visible, |named| *named == schema)
        });
        if !is_named {
            return Ok(());
        }
        self.columns.extend(row.try_get::<_, Vec<String>>(7)?.into_iter().map(|column| (name.clone(), column)));
        let is_own = oid >= OWN;
        if is_own && (kind == "v" || has_policies) {
            user.relations.push(oid);
        }
        let is_plain = !is_own || (matches!(kind, "r" | "p" | "m") && !has_policies && own_types.is_empty());
        user.types.extend(own_types);
        self.relations.push(Relation { name, is_plain });
        Ok(())
    }

    /// Add what is to be known of what a user has made.
    async fn add_own(&mut self, client: &Client, user: UserDefined) -> Result<(), Error> {
        if user.functions.is_empty()
            && user.implicit_functions.is_empty()
            && user.types.is_empty()
            && user.relations.is_empty()
        {
            return Ok(());
        }
        let called: Vec<u32> = user.functions.iter().map(|(oid, _)| *oid).collect();
        let all: Vec<u32> = called.iter().copied().chain(user.implicit_functions.iter().map(|(oid, _)| *oid)).collect();
        let oids = |oids| -> (&(dyn ToSql + Sync), Type) { (oids, Type::OID_ARRAY) };
        let max: (&(dyn ToSql + Sync), Type) = (&TEXT_CHARS_MAX, Type::INT4);
        // What an operator or a cast takes tells nothing: there are others of that name, for other types.
        let (types, called, all, relations) = (oids(&user.types), oids(&called), oids(&all), oids(&user.relations));
        // Joined, they are sent without waiting for each other.
        let (details, texts) = try_join(
            client.query_typed(OWN_FUNCTIONS, &[types.clone(), called.clone(), max.clone(), all]),
            client.query_typed(OWN_TEXTS, &[types, called, max, relations]),
        )
        .await?;
        for row in &details {
            self.add_own_function(row, &user)?;
        }
        for row in &texts {
            if let Some(sql) = row.try_get(1)? {
                self.texts.push(Text { of: row.try_get(0)?, sql, any_schema: user.any_schema });
            }
        }
        Ok(())
    }

    /// Complete a function that is called, or add what else runs.
    fn add_own_function(&mut self, row: &Row, user: &UserDefined) -> Result<(), Error> {
        let (whole, oid): (u32, u32) = (row.try_get(0)?, row.try_get(1)?);
        let (schema, name): (String, String) = (unquoted(row.try_get(3)?), row.try_get(2)?);
        let has_search_path: bool = row.try_get(10)?;
        let text = row.try_get::<_, Option<String>>(9)?.filter(|text| !text.is_empty()).map(|sql| Text {
            of: format!("{schema}.{name}"),
            sql,
            any_schema: user.any_schema || has_search_path,
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
        if let Some(requested_name) = row.try_get(11)? {
            self.functions.push(Function { requested_name, ..found });
            return Ok(());
        }
        for (_, at) in user.functions.iter().filter(|(called, _)| *called == whole) {
            let called = &mut self.functions[*at];
            if whole == oid {
                *called = Function {
                    requested_name: called.requested_name.clone(),
                    is_called: true,
                    arguments_min: called.arguments_min,
                    arguments_max: called.arguments_max,
                    is_visible: called.is_visible,
                    ..found.clone()
                };
            } else {
                // A part of an aggregate.
                let requested_name = called.requested_name.clone();
                self.functions.push(Function { requested_name, ..found.clone() });
            }
        }
        for (_, requested_name) in user.implicit_functions.iter().filter(|(stands, _)| *stands == whole) {
            self.functions.push(Function { requested_name: requested_name.clone(), ..found.clone() });
        }
        Ok(())
    }
}

/// What a user has made, of what was found.
#[derive(Debug, Default)]
struct UserDefined {
    /// With their places among the catalog's functions.
    functions: Vec<(u32, usize)>,
    /// Functions, with what stands for them.
    implicit_functions: Vec<(u32, String)>,
    relations: Vec<u32>,
    types: Vec<u32>,
    /// Of a text that is run with a search path of its own.
    any_schema: bool,
}

/// A schema's name as `regnamespace` writes it, in quotes where it needs them.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}
