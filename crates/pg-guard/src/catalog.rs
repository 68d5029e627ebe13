//! Looks up the names of a statement in the system catalogs of the database (PostgreSQL manual, chapter 53).
//!
//! Each name is looked up as everything that it can mean. Three queries, each over one or two catalogs and prepared
//! once for a connection, find the objects with these names. They are sent together, and most statements need no more.
//! For user-defined objects further queries find the rest: the language of a function and whether it runs with the
//! rights of its owner; the functions that run because of the type of a value; and the SQL text of views, of functions
//! in SQL, of domain checks and of policies. That text is checked like the statement itself.

use std::collections::HashMap;

use futures_util::future::{try_join, try_join3, try_join4};
use tokio::sync::OnceCell;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};

use crate::secrets::SecretSource;
use crate::syntax::{self, Name, Syntax};

mod function_settings;
mod names;
mod queries;
mod read;

use function_settings::is_harmless_setting;
use names::Names;
use queries::{FUNCTIONS, IMPLICIT_FUNCTIONS, RELATIONS, SECRETS, USER_FUNCTIONS, USER_TEXTS};
pub(crate) use read::same_types;
use read::{major, type_names, unquoted};

/// The longest SQL text of an object that is checked, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 200_000;

/// How many characters are read: one more shows that a text is too long.
const TEXT_CHARS_READ: i32 = 200_001;

/// The objects that have the names of a statement.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// The functions that the statement calls by name or by an operator, a cast, or an aggregate.
    pub(crate) functions: Vec<Function>,
    pub(crate) relations: Vec<Relation>,
    /// The columns of these relations whose names are in the statement: the name of the relation and of the column, and
    /// how many of the relations with this name have it.
    pub(crate) columns: HashMap<(String, String), usize>,
    /// A name that this server may read otherwise than the guard does.
    pub(crate) doubtful_name: Option<String>,
    /// The statement names a user-defined type.
    pub(crate) has_user_types: bool,
    /// The SQL texts that run with the statement, besides those of functions.
    pub(crate) texts: Vec<Text>,
    /// The sources that contain secrets; for settings, with the name of the setting.
    pub(crate) secrets: Vec<(SecretSource, String)>,
}

/// An SQL text that runs with a statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    /// The object that has this text: a view, a function, a domain or a policy.
    pub(crate) object: String,
    pub(crate) sql: String,
    /// Its names must be looked up in all schemas, because it runs with a search path of its own.
    pub(crate) any_schema: bool,
    /// It is the condition of a row-level security policy.
    pub(crate) is_policy: bool,
}

/// A function that the statement may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Function {
    /// The name in the statement: of the function, the operator, the type or the aggregate.
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
    /// It is part of PostgreSQL itself.
    pub(crate) is_builtin: bool,
    /// The names of its argument types, joined by commas.
    pub(crate) arguments: String,
    /// The major version of the server.
    pub(crate) version: u32,
    /// Its body and its argument defaults, if a user has written them in SQL.
    pub(crate) text: Option<Text>,
    /// A setting that it sets for itself, and that may change how its text is read.
    pub(crate) setting: Option<String>,
    /// Its first argument can be a whole row.
    pub(crate) takes_row: bool,
    arguments_min: usize,
    arguments_max: usize,
    /// It can be called without its schema.
    is_visible: bool,
}

impl Function {
    /// Whether `name` can mean this function.
    pub(crate) fn matches(&self, name: &Name) -> bool {
        self.is_called
            && self.name == name.name
            && name.schema.as_ref().map_or(self.is_visible, |schema| *schema == self.schema)
    }

    /// Whether it can be called with this number of arguments.
    pub(crate) fn takes(&self, arguments: usize) -> bool {
        (self.arguments_min..=self.arguments_max).contains(&arguments)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// Reading it runs nothing else: a table, a partitioned table or a materialised view without policies, whose
    /// columns have built-in types; or a view of PostgreSQL itself.
    pub(crate) is_plain: bool,
}

/// The first OID of objects that are not part of PostgreSQL itself (FirstNormalObjectId in access/transam.h).
const FIRST_USER_OID: u32 = 16384;

/// The catalog queries that most statements need. They are prepared on a connection when it needs them first, and
/// belong to that connection.
#[derive(Debug, Default)]
pub struct PreparedQueries(OnceCell<Prepared>);

#[derive(Debug)]
struct Prepared {
    functions: Statement,
    implicit_functions: Statement,
    relations: Statement,
    /// The encoding of the database is UTF-8.
    is_utf8: bool,
}

impl PreparedQueries {
    async fn prepared(&self, client: &Client) -> Result<&Prepared, Error> {
        self.0.get_or_try_init(|| Prepared::on(client)).await
    }
}

impl Prepared {
    async fn on(client: &Client) -> Result<Self, Error> {
        let texts = [Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY];
        let (functions, implicit_functions, relations, encoding) = try_join4(
            client.prepare_typed(FUNCTIONS, &texts[..1]),
            client.prepare_typed(IMPLICIT_FUNCTIONS, &texts),
            client.prepare_typed(RELATIONS, &texts[..2]),
            client.query_typed("SELECT pg_catalog.current_setting('server_encoding') = 'UTF8'", &[]),
        )
        .await?;
        let is_utf8 = encoding.first().map_or(Ok(false), |row| row.try_get(0))?;
        Ok(Self { functions, implicit_functions, relations, is_utf8 })
    }
}

impl Catalog {
    /// Whether the statement has names to look up.
    pub(crate) fn is_needed(syntax: &Syntax) -> bool {
        !Names::of(syntax).is_empty()
    }

    /// Looks up the names of a statement, or of the text of an object if `is_behind`; in all schemas if `any_schema`.
    ///
    /// # Errors
    /// An error of the driver.
    pub(crate) async fn look_up(
        client: &Client,
        queries: &PreparedQueries,
        syntax: &Syntax,
        is_behind: bool,
        any_schema: bool,
    ) -> Result<Self, Error> {
        let names = Names::of(syntax);
        let queries = queries.prepared(client).await?;
        if !queries.is_utf8
            && let Some(doubtful) = names.doubtful()
        {
            return Ok(Self { doubtful_name: Some(doubtful.clone()), ..Self::default() });
        }
        let run = async |query: &Statement, is_needed: bool, parameters: &[&(dyn ToSql + Sync)]| match is_needed {
            true => client.query(query, parameters).await,
            false => Ok(Vec::new()),
        };
        // Joined futures are sent without waiting for each other.
        let (functions, implicit_functions, relations) = try_join3(
            run(&queries.functions, !names.functions.is_empty(), &[&names.functions]),
            run(&queries.implicit_functions, true, &[&names.operators, &names.types, &names.casts]),
            run(&queries.relations, !names.relations.is_empty(), &[&names.relations, &names.attributes]),
        )
        .await?;
        let mut catalog = Self::default();
        let any_role = is_behind || !syntax.inner.is_empty();
        let mut user = UserDefined { any_schema, any_role, ..UserDefined::default() };
        for row in &functions {
            catalog.add_function(row, &mut user)?;
        }
        for row in &implicit_functions {
            let (function, requested_name, user_type): (u32, String, u32) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if user_type == 0 {
                user.implicit_functions.push((function, requested_name));
            } else {
                catalog.has_user_types = true;
                user.types.push(user_type);
            }
        }
        for row in &relations {
            catalog.add_relation(row, &syntax.relations, &mut user)?;
        }
        catalog.add_user_defined(client, user, &names.casts).await?;
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
        if oid >= FIRST_USER_OID {
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
            is_builtin: oid < FIRST_USER_OID,
            arguments: type_names(row.try_get(7)?),
            version: major(row.try_get(8)?),
            text: None,
            setting: None,
            takes_row: row.try_get(9)?,
            arguments_min: count(4)?,
            arguments_max: count(5)?,
            is_visible,
        });
        Ok(())
    }

    fn add_relation(&mut self, row: &Row, named: &[syntax::Relation], user: &mut UserDefined) -> Result<(), Error> {
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let (schema, kind): (String, &str) = (unquoted(row.try_get(2)?), row.try_get(3)?);
        let (has_policies, is_visible, user_types): (bool, bool, Vec<u32>) =
            (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let is_visible = user.any_schema || is_visible;
        let is_named = named.iter().any(|syntax::Relation { name: named, .. }| {
            named.name == name && named.schema.as_ref().map_or(is_visible, |named| *named == schema)
        });
        if !is_named {
            return Ok(());
        }
        for column in row.try_get::<_, Vec<String>>(7)? {
            *self.columns.entry((name.clone(), column)).or_default() += 1;
        }
        let is_user_defined = oid >= FIRST_USER_OID;
        let has_functions: bool = row.try_get(8)?;
        if is_user_defined && (kind == "v" || has_policies) {
            user.relations.push(oid);
        }
        if has_functions {
            user.relations_with_functions.push(oid);
        }
        let is_plain = !is_user_defined
            || (matches!(kind, "r" | "p" | "m") && !has_policies && !has_functions && user_types.is_empty());
        user.types.extend(user_types);
        self.relations.push(Relation { name, is_plain });
        Ok(())
    }

    /// Looks up the details of the user-defined objects.
    async fn add_user_defined(&mut self, client: &Client, user: UserDefined, casts: &[String]) -> Result<(), Error> {
        if user.functions.is_empty()
            && user.implicit_functions.is_empty()
            && user.types.is_empty()
            && user.relations.is_empty()
            && user.relations_with_functions.is_empty()
        {
            return Ok(());
        }
        let called: Vec<u32> = user.functions.iter().map(|(oid, _)| *oid).collect();
        let all: Vec<u32> = called.iter().copied().chain(user.implicit_functions.iter().map(|(oid, _)| *oid)).collect();
        let oids = |oids| -> (&(dyn ToSql + Sync), Type) { (oids, Type::OID_ARRAY) };
        let max: (&(dyn ToSql + Sync), Type) = (&TEXT_CHARS_READ, Type::INT4);
        // Of the argument types of an operator or a cast only domains are looked up: the name alone does not say which
        // operator is meant.
        let (types, called, all, relations) = (oids(&user.types), oids(&called), oids(&all), oids(&user.relations));
        let with_functions = oids(&user.relations_with_functions);
        let casts: (&(dyn ToSql + Sync), Type) = (&casts, Type::TEXT_ARRAY);
        let any_role: (&(dyn ToSql + Sync), Type) = (&user.any_role, Type::BOOL);
        // Joined futures are sent without waiting for each other.
        let (details, texts) = try_join(
            client.query_typed(
                USER_FUNCTIONS,
                &[types.clone(), called.clone(), max.clone(), all.clone(), with_functions, casts],
            ),
            client.query_typed(USER_TEXTS, &[types, called, max, relations, all, any_role]),
        )
        .await?;
        for row in &details {
            self.add_user_function(row, &user)?;
        }
        for row in &texts {
            if let Some(sql) = row.try_get(1)? {
                let (object, is_policy) = (row.try_get(0)?, row.try_get(2)?);
                self.texts.push(Text { object, sql, any_schema: user.any_schema, is_policy });
            }
        }
        Ok(())
    }

    /// Adds the details to a called function, or adds a function that runs implicitly.
    fn add_user_function(&mut self, row: &Row, user: &UserDefined) -> Result<(), Error> {
        let (root, oid): (u32, u32) = (row.try_get(0)?, row.try_get(1)?);
        let (schema, name): (String, String) = (unquoted(row.try_get(3)?), row.try_get(2)?);
        let settings: Vec<String> = row.try_get(10)?;
        let has_search_path = settings.iter().any(|setting| setting == "search_path");
        let text = row.try_get::<_, Option<String>>(9)?.filter(|text| !text.is_empty()).map(|sql| Text {
            object: format!("{schema}.{name}"),
            sql,
            any_schema: user.any_schema || has_search_path,
            is_policy: false,
        });
        let found = Function {
            schema,
            name,
            is_volatile: row.try_get(4)?,
            language: row.try_get(5)?,
            is_trusted: row.try_get(6)?,
            is_definer: row.try_get(7)?,
            extension: row.try_get(8)?,
            is_builtin: oid < FIRST_USER_OID,
            arguments: type_names(row.try_get(12)?),
            version: major(row.try_get(13)?),
            text,
            setting: settings.into_iter().find(|setting| !is_harmless_setting(setting)),
            ..Function::default()
        };
        if let Some(requested_name) = row.try_get(11)? {
            self.functions.push(Function { requested_name, ..found });
            return Ok(());
        }
        for (_, at) in user.functions.iter().filter(|(called, _)| *called == root) {
            let called = &mut self.functions[*at];
            if root == oid {
                *called = Function {
                    requested_name: called.requested_name.clone(),
                    is_called: true,
                    arguments_min: called.arguments_min,
                    arguments_max: called.arguments_max,
                    is_visible: called.is_visible,
                    takes_row: called.takes_row,
                    ..found.clone()
                };
            } else {
                // A support function of an aggregate.
                let requested_name = called.requested_name.clone();
                self.functions.push(Function { requested_name, ..found.clone() });
            }
        }
        for (_, requested_name) in user.implicit_functions.iter().filter(|(function, _)| *function == root) {
            self.functions.push(Function { requested_name: requested_name.clone(), ..found.clone() });
        }
        Ok(())
    }
}

/// The user-defined objects among those that were found.
#[derive(Debug, Default)]
struct UserDefined {
    /// The OIDs, each with the index in `Catalog::functions`.
    functions: Vec<(u32, usize)>,
    /// The OIDs, each with the operator or type that calls the function.
    implicit_functions: Vec<(u32, String)>,
    /// Views, and tables with policies.
    relations: Vec<u32>,
    /// Tables with functions in their indexes, constraints, statistics or partitions.
    relations_with_functions: Vec<u32>,
    types: Vec<u32>,
    /// The statement runs with a search path of its own.
    any_schema: bool,
    /// It may run as another role, or may not only read.
    any_role: bool,
}
