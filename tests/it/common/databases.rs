//! A set of databases that the test owns.

use std::sync::Arc;

use mcp_server_postgres::messages::database::{Database, DatabaseSet};
use tokio::sync::watch;

/// A set in which these databases are served.
pub fn set_of(served: impl IntoIterator<Item = Database>) -> watch::Sender<Arc<DatabaseSet>> {
    let served = served.into_iter().map(Arc::new).collect();
    watch::Sender::new(Arc::new(DatabaseSet { served, ..DatabaseSet::default() }))
}
