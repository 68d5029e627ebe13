//! What one client may do: which databases it may use, and in which access mode.

use std::sync::Arc;

use crate::caller::Caller;
use crate::messages::database::{ClientDatabases, DatabaseSummary};
use crate::settings::AccessMode;

/// What a client may do. The answers follow the set of databases and the access mode of each database.
#[derive(Clone)]
pub struct ClientAccess {
    /// The access mode of the client. For each database the stricter mode counts.
    access: AccessMode,
    databases: ClientDatabases,
}

/// The facts that decide what `tools/list` contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The names of the databases. A call that names none uses the first.
    pub databases: Vec<Arc<str>>,
    /// Read-write if this client may write to at least one database.
    pub access: AccessMode,
    /// Whether answers have structured content.
    pub is_structured: bool,
}

impl ClientAccess {
    /// The access of `caller` to these databases.
    pub fn new(caller: &Caller, databases: ClientDatabases) -> Self {
        Self { access: caller.access, databases }
    }

    /// The current facts.
    pub fn now(&self) -> Offered {
        offered(self.access, &self.databases.summaries())
    }

    /// Waits until the facts differ from `known` and stores the new ones there; `None` when the process ends.
    pub async fn changed(&mut self, known: &mut Offered) -> Option<()> {
        let access = self.access;
        *known = self.databases.changed(known, |databases| offered(access, databases)).await?;
        Some(())
    }

    /// The databases, each with the mode that it has for this client.
    pub fn databases(&self) -> Vec<(Arc<str>, AccessMode)> {
        let databases = self.databases.summaries().into_iter();
        databases.map(|(name, summary)| (name, access_to(self.access, &summary))).collect()
    }
}

fn access_to(client: AccessMode, database: &DatabaseSummary) -> AccessMode {
    if client == AccessMode::ReadOnly { AccessMode::ReadOnly } else { database.access }
}

fn offered(client: AccessMode, databases: &[(Arc<str>, DatabaseSummary)]) -> Offered {
    let may_write = databases.iter().any(|(_, summary)| access_to(client, summary) == AccessMode::ReadWrite);
    Offered {
        databases: databases.iter().map(|(name, _)| name.clone()).collect(),
        access: if may_write { AccessMode::ReadWrite } else { AccessMode::ReadOnly },
        is_structured: databases.iter().any(|(_, summary)| summary.is_structured),
    }
}
