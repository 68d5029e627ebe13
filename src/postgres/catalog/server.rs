//! Which server a connection leads to, and how the connection is encrypted.

use tokio_postgres::{Error, Row};

use super::{CatalogQuery, CatalogRow, TypedParameter};

/// Asks how the connection of the backend is encrypted. Behind a pooler, it is the pooler's connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionTls;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionTlsRow {
    /// The process ID of the backend.
    pub pid: i32,
    /// The version of TLS, if the connection is encrypted.
    pub version: Option<String>,
    /// The cipher suite, if the connection is encrypted.
    pub cipher: Option<String>,
}

impl CatalogQuery for ConnectionTls {
    const NAME: &'static str = "connection_tls";
    const SQL: &'static str = include_str!("connection_tls.sql");
    type Row = ConnectionTlsRow;

    fn parameters(&self) -> Vec<TypedParameter> {
        Vec::new()
    }
}

impl CatalogRow for ConnectionTlsRow {
    fn read(row: &Row) -> Result<Self, Error> {
        let (version, cipher) = (row.try_get("version")?, row.try_get("cipher")?);
        Ok(Self { pid: row.try_get("pid")?, version, cipher })
    }
}

/// Asks which server and which database it is.
#[derive(Debug, Clone, Copy)]
pub struct Server;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRow {
    /// 140005 is version 14.5.
    pub version_number: i32,
    /// The version as PostgreSQL writes it, which may name a packager.
    pub version: String,
    /// Whether it is a standby, which can only be read.
    pub is_standby: bool,
    pub database: String,
    /// The CONNECTION LIMIT of the role or of the database, whichever is less.
    pub connections_max: Option<i32>,
}

impl CatalogQuery for Server {
    const NAME: &'static str = "server";
    const SQL: &'static str = include_str!("server.sql");
    type Row = ServerRow;

    fn parameters(&self) -> Vec<TypedParameter> {
        Vec::new()
    }
}

impl CatalogRow for ServerRow {
    fn read(row: &Row) -> Result<Self, Error> {
        let (version_number, version) = (row.try_get("version_number")?, row.try_get("version")?);
        let (is_standby, database) = (row.try_get("is_standby")?, row.try_get("database")?);
        Ok(Self { version_number, version, is_standby, database, connections_max: row.try_get("connections_max")? })
    }
}
