//! What the role may do that a reader need not: asked of PostgreSQL's catalogs, at start and at each reload.
//!
//! The role is the last boundary, and the only one that holds whatever the statement is. Roles that it can become by SET
//! ROLE count like itself (manual, section 22.3), rights on a column like rights on the table.

use std::fmt;

use tokio_postgres::{Client, Error, Row};

use crate::settings::AccessMode;

/// How many of a kind are named.
const NAMED_MAX: i64 = 5;

/// Something that the role may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it makes the rest of this server's care worthless: it reaches beyond the database, or past its rights.
    pub is_severe: bool,
    /// What it is, and why that matters.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.mend)
    }
}

/// The role and those that it can become; the names of some of each kind. $1 is how many, and $2 whether rights to write
/// matter.
const QUESTION: &str = include_str!("role.sql");

/// What the role of a connection may do too much of, the severe first. In read-write mode rights to write are none of it.
///
/// # Errors
/// The driver's.
pub async fn findings(client: &Client, access: AccessMode) -> Result<Vec<Finding>, Error> {
    use tokio_postgres::types::Type;
    let writing_matters = access == AccessMode::ReadOnly;
    let rows = client.query_typed(QUESTION, &[(&NAMED_MAX, Type::INT8), (&writing_matters, Type::BOOL)]).await?;
    rows.first().map_or(Ok(Vec::new()), read)
}

fn read(row: &Row) -> Result<Vec<Finding>, Error> {
    let role: String = row.try_get(0)?;
    let names = |at| Ok::<_, Error>(row.try_get::<_, Vec<String>>(at)?.join(", "));
    let mut findings = Vec::new();
    let mut find = |is_severe, what: String, mend: String| findings.push(Finding { is_severe, what, mend });
    if row.try_get(1)? {
        // The rest follows from that.
        let what = format!("The role {role} is a superuser: nothing in PostgreSQL is closed to it, its files included");
        find(true, what, format!("Use another role, or ALTER ROLE {role} NOSUPERUSER"));
        return Ok(findings);
    }
    let supers = names(4)?;
    if !supers.is_empty() {
        let what = format!("The role {role} can become a superuser by SET ROLE ({supers})");
        find(true, what, format!("REVOKE {supers} FROM {role}"));
    }
    let bypass = names(5)?;
    if row.try_get(2)? {
        let what = format!("The role {role} passes row-level security (BYPASSRLS)");
        find(true, what, format!("ALTER ROLE {role} NOBYPASSRLS"));
    } else if !bypass.is_empty() && supers.is_empty() {
        let what = format!("The role {role} can pass row-level security by SET ROLE ({bypass})");
        find(true, what, format!("REVOKE {bypass} FROM {role}"));
    }
    let files = names(6)?;
    if !files.is_empty() {
        let what = format!("The role {role} reaches files or programs of the database server ({files})");
        find(true, what, format!("REVOKE {files} FROM {role}"));
    }
    if row.try_get(3)? {
        let what = format!("The role {role} can make roles or databases, or replicate");
        find(false, what, format!("ALTER ROLE {role} NOCREATEROLE NOCREATEDB NOREPLICATION"));
    }
    for (at, can, right) in [
        (7, "write to tables", "INSERT, UPDATE, DELETE, TRUNCATE ON"),
        (8, "move sequences", "USAGE, UPDATE ON SEQUENCE"),
        (9, "make objects in schemas", "CREATE ON SCHEMA"),
    ] {
        let some = names(at)?;
        if !some.is_empty() {
            let what = format!("The role {role} can {can}, by itself or by SET ROLE ({some}): only the mode stops it");
            find(
                false,
                what,
                format!("REVOKE {right} {some} FROM {role}, and from PUBLIC and the roles that it is in"),
            );
        }
    }
    if row.try_get(10)? {
        let what = format!("The role {role} can make schemas in the database");
        find(false, what, "REVOKE CREATE ON DATABASE from it, and from the roles that it is in".to_owned());
    }
    let definers = names(11)?;
    if !definers.is_empty() {
        let what =
            format!("The role {role} can run functions with their owners' rights (SECURITY DEFINER: {definers})");
        find(false, what, format!("REVOKE EXECUTE ON FUNCTION {definers} FROM PUBLIC"));
    }
    if row.try_get(12)? {
        let what = format!(
            "The role {role} can read password hashes (pg_authid), as pg_read_all_data lets it: only the guard stops it"
        );
        find(false, what, format!("REVOKE pg_read_all_data FROM {role}, and GRANT SELECT on what it is for"));
    }
    Ok(findings)
}

/// The SQL that makes a role of which nothing is found, as far as roles go: what PUBLIC may do is another matter.
pub fn suggested(database: &str) -> String {
    let database = database.replace('"', "\"\"");
    format!(
        "CREATE ROLE agent LOGIN PASSWORD '…' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;\n\
         ALTER ROLE agent SET default_transaction_read_only = on;\n\
         GRANT CONNECT ON DATABASE \"{database}\" TO agent;\n\
         GRANT USAGE ON SCHEMA public TO agent; -- and so with each schema that it is for\n\
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO agent;\n\
         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO agent; -- by who makes the tables"
    )
}
