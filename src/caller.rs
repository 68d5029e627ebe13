//! Who asks, and the most that they may: one value that goes with a call from the client's session to the executor, the
//! metrics and the log.

use std::sync::Arc;

use crate::settings::AccessMode;

/// A client, as every part that works for it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name, unique among those that are there: `stdio`, a token's name, `client 7`. It is in the log.
    pub name: Arc<str>,
    /// Nobody knows who it is: the name is that of a connection. The same program may come back by another connection, as
    /// another client.
    pub is_anonymous: bool,
    /// The most that its statements may do; a database in read-only mode is read-only to everybody.
    pub access: AccessMode,
}

impl Caller {
    /// The host that has started this process, which may do what the process may.
    pub fn stdio() -> Self {
        Self { name: "stdio".into(), is_anonymous: false, access: AccessMode::ReadWrite }
    }
}
