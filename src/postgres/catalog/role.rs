//! Rights of the role that reading does not need. PostgreSQL's catalogs are asked for them at start and at each reload.
//!
//! The role is the last boundary, and the only one that holds for every statement. Rights of roles that it can become
//! by SET ROLE count as its own (manual, section 22.3); rights on a column count as rights on the table.

use std::fmt;

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::{CatalogQuery, CatalogRow, TypedParameter};
use crate::settings::AccessMode;

/// How many names of one kind are listed.
const NAMED_MAX: i64 = 5;

/// A right that the role has and should not need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether this right makes the other protections useless: it reaches beyond the database, or bypasses its
    /// permissions.
    pub is_severe: bool,
    /// Which right it is, and why it matters.
    pub what: String,
    /// How to remove it.
    pub mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.mend)
    }
}

/// Reads the rights of a connection's role.
#[derive(Debug, Clone, Copy)]
pub struct RoleRights {
    /// The access mode of the connection: in read-write mode, rights to write are expected.
    pub access: AccessMode,
}

/// The rights of a role, its own or those of a role that it can become. The lists have only some names of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRightsRow {
    role: String,
    is_superuser: bool,
    bypasses_row_security: bool,
    administers: bool,
    superusers: Vec<String>,
    bypassing_roles: Vec<String>,
    file_roles: Vec<String>,
    writable_tables: Vec<String>,
    writable_sequences: Vec<String>,
    writable_schemas: Vec<String>,
    creates_schemas: bool,
    security_definers: Vec<String>,
    reads_password_hashes: bool,
}

impl CatalogQuery for RoleRights {
    const NAME: &'static str = "role_check";
    const SQL: &'static str = include_str!("role.sql");
    type Row = RoleRightsRow;

    fn parameters(&self) -> Vec<TypedParameter> {
        let writing_matters = self.access == AccessMode::ReadOnly;
        vec![(Box::new(NAMED_MAX), Type::INT8), (Box::new(writing_matters), Type::BOOL)]
    }
}

impl CatalogRow for RoleRightsRow {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            role: row.try_get("role")?,
            is_superuser: row.try_get("is_superuser")?,
            bypasses_row_security: row.try_get("bypasses_row_security")?,
            administers: row.try_get("administers")?,
            superusers: row.try_get("superusers")?,
            bypassing_roles: row.try_get("bypassing_roles")?,
            file_roles: row.try_get("file_roles")?,
            writable_tables: row.try_get("writable_tables")?,
            writable_sequences: row.try_get("writable_sequences")?,
            writable_schemas: row.try_get("writable_schemas")?,
            creates_schemas: row.try_get("creates_schemas")?,
            security_definers: row.try_get("security_definers")?,
            reads_password_hashes: row.try_get("reads_password_hashes")?,
        })
    }
}

/// The rights that are too many, severe ones first.
pub fn findings(rights: &RoleRightsRow) -> Vec<Finding> {
    let role = &rights.role;
    let names = |names: &[String]| names.join(", ");
    let mut findings = Vec::new();
    let mut find = |is_severe, what: String, mend: String| findings.push(Finding { is_severe, what, mend });
    if rights.is_superuser {
        // A superuser has all other rights too.
        let what = format!("The role {role} is a superuser: nothing in PostgreSQL is closed to it, its files included");
        find(true, what, format!("Use another role, or ALTER ROLE {role} NOSUPERUSER"));
        return findings;
    }
    let supers = names(&rights.superusers);
    if !supers.is_empty() {
        let what = format!("The role {role} can become a superuser by SET ROLE ({supers})");
        find(true, what, format!("REVOKE {supers} FROM {role}"));
    }
    let bypass = names(&rights.bypassing_roles);
    if rights.bypasses_row_security {
        let what = format!("The role {role} passes row-level security (BYPASSRLS)");
        find(true, what, format!("ALTER ROLE {role} NOBYPASSRLS"));
    } else if !bypass.is_empty() && supers.is_empty() {
        let what = format!("The role {role} can pass row-level security by SET ROLE ({bypass})");
        find(true, what, format!("REVOKE {bypass} FROM {role}"));
    }
    let files = names(&rights.file_roles);
    if !files.is_empty() {
        let what = format!("The role {role} reaches files or programs of the database server ({files})");
        find(true, what, format!("REVOKE {files} FROM {role}"));
    }
    if rights.administers {
        let what = format!("The role {role} can make roles or databases, or replicate");
        find(false, what, format!("ALTER ROLE {role} NOCREATEROLE NOCREATEDB NOREPLICATION"));
    }
    for (some, can, right) in [
        (&rights.writable_tables, "write to tables", "INSERT, UPDATE, DELETE, TRUNCATE ON"),
        (&rights.writable_sequences, "move sequences", "USAGE, UPDATE ON SEQUENCE"),
        (&rights.writable_schemas, "make objects in schemas", "CREATE ON SCHEMA"),
    ] {
        let some = names(some);
        if !some.is_empty() {
            let what = format!("The role {role} can {can}, by itself or by SET ROLE ({some}): only the mode stops it");
            find(
                false,
                what,
                format!("REVOKE {right} {some} FROM {role}, and from PUBLIC and the roles that it is in"),
            );
        }
    }
    if rights.creates_schemas {
        let what = format!("The role {role} can make schemas in the database");
        find(false, what, "REVOKE CREATE ON DATABASE from it, and from the roles that it is in".to_owned());
    }
    let definers = names(&rights.security_definers);
    if !definers.is_empty() {
        let what =
            format!("The role {role} can run functions with their owners' rights (SECURITY DEFINER: {definers})");
        find(false, what, format!("REVOKE EXECUTE ON FUNCTION {definers} FROM PUBLIC"));
    }
    if rights.reads_password_hashes {
        let what = format!(
            "The role {role} can read password hashes (pg_authid), as pg_read_all_data lets it: only the guard stops it"
        );
        find(false, what, format!("REVOKE pg_read_all_data FROM {role}, and GRANT SELECT on what it is for"));
    }
    findings
}

/// The SQL that creates a role without findings. (It does not change what PUBLIC may do.)
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
