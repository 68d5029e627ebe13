//! What one client may do: the databases that it may ask, and the mode of each as it is for this client.

use std::sync::Arc;

use crate::caller::Caller;
use crate::messages::database::{ClientDatabases, DatabaseSummary};
use crate::settings::AccessMode;

/// What a client may do. It follows the set of databases, and what each says of itself.
#[derive(Clone)]
pub struct ClientAccess {
    /// The most that the client may do.
    access: AccessMode,
    databases: ClientDatabases,
}

/// What the list of tools depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The databases' names; a call that names none means the first.
    pub databases: Vec<Arc<str>>,
    /// Whether this client may write anywhere.
    pub access: AccessMode,
    /// Whether answers have structured content.
    pub is_structured: bool,
}

impl ClientAccess {
    /// What that caller may do with these databases.
    pub fn new(caller: &Caller, databases: ClientDatabases) -> Self {
        Self { access: caller.access, databases }
    }

    /// What is so now.
    pub fn now(&self) -> Offered {
        offered(self.access, &self.databases.summaries())
    }

    /// Wait until [`ClientAccess::now`] is not as `known`, which it is made then; `None` when the process ends.
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
