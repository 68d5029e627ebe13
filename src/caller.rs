//! Who makes a call, and its highest access mode. This value goes with a call from the session of its client to the executor,
//! the metrics and the log.

use std::sync::Arc;

use crate::settings::AccessMode;

/// A client, as every part of the server that works for it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name: `stdio`, the name of a token, or `client 7`. It is unique among the connected clients, and is in the
    /// log.
    pub name: Arc<str>,
    /// Whether the client is anonymous. Then the name belongs to a connection, and the same program may return on
    /// another connection with another name.
    pub is_anonymous: bool,
    /// The highest access mode of its statements. A database in read-only mode is read-only for every client.
    pub access: AccessMode,
}

/// The owner of what a client keeps open: its name. Anonymous clients share one owner.
pub type Principal = Option<Arc<str>>;

impl Caller {
    /// The owner of what this client keeps open.
    pub fn principal(&self) -> Principal {
        (!self.is_anonymous).then(|| self.name.clone())
    }

    /// The host that has started this process. It has all rights of the process.
    pub fn stdio() -> Self {
        Self { name: "stdio".into(), is_anonymous: false, access: AccessMode::ReadWrite }
    }
}
