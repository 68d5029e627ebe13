//! The SQL texts of a database's objects, and its secrets. They are asked for when a statement first reaches them.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::Oid;
use super::queries::{DOMAIN_TEXTS, FUNCTION_TEXT, POLICY_TEXTS, SECRETS, VIEW_TEXT};
use crate::secrets::SecretSource;

/// The longest SQL text of an object that is checked, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 200_000;

/// How many characters are read: one more shows that a text is too long.
const TEXT_CHARS_READ: i32 = 200_001;

/// An SQL text that runs with a statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    pub(crate) object: Object,
    /// The name of the object.
    pub(crate) name: String,
    /// Its names must be looked up in all schemas, because it runs with a search path of its own.
    pub(crate) any_schema: bool,
}

/// What has an SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Object {
    /// A function has its body and its argument defaults.
    Function(Oid),
    View(Oid),
    /// A domain has its checks.
    Domain(Oid),
    /// The row-level security policies of a table.
    Policies {
        table: Oid,
        /// Another role may read, as the owner of a view does, or the statement may not only read.
        any_role: bool,
    },
}

impl Text {
    /// It is the condition of a row-level security policy.
    pub(crate) fn is_policy(&self) -> bool {
        matches!(self.object, Object::Policies { .. })
    }
}

/// The SQL texts of an object.
///
/// # Errors
/// An error of the driver.
pub(crate) async fn sql_texts(client: &Client, text: &Text) -> Result<Vec<String>, Error> {
    let (query, oid, any_role) = match text.object {
        Object::Function(oid) => (FUNCTION_TEXT, oid, None),
        Object::View(oid) => (VIEW_TEXT, oid, None),
        Object::Domain(oid) => (DOMAIN_TEXTS, oid, None),
        Object::Policies { table, any_role } => (POLICY_TEXTS, table, Some(any_role)),
    };
    let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&oid, Type::OID), (&TEXT_CHARS_READ, Type::INT4)];
    if let Some(any_role) = &any_role {
        parameters.push((any_role, Type::BOOL));
    }
    let rows = client.query_typed(query, &parameters).await?;
    let texts: Result<Vec<Option<String>>, Error> = rows.iter().map(|row| row.try_get(0)).collect();
    Ok(texts?.into_iter().flatten().filter(|sql| !sql.is_empty()).collect())
}

/// The sources that contain secrets; for settings, with the name of the setting.
///
/// # Errors
/// An error of the driver.
pub(crate) async fn secrets(client: &Client) -> Result<Vec<(SecretSource, String)>, Error> {
    let rows = client.query_typed(SECRETS, &[]).await?;
    rows.iter()
        .map(|row| {
            let source = match row.try_get::<_, i32>(0)? {
                1 => SecretSource::Settings,
                2 => SecretSource::RoleSettings,
                3 => SecretSource::Statistics,
                _ => SecretSource::ServerOptions,
            };
            Ok((source, row.try_get(1)?))
        })
        .collect()
}
