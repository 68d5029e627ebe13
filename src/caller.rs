//! Who makes a call, and its highest access mode. This value goes with a call from the session of its client to the executor,
//! the metrics and the log.

use std::sync::Arc;

use crate::settings::AccessMode;

/// A client, as every part that works for it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name, unique among the clients that are there: `stdio`, the name of a token, `client 7`. It is in the log.
    pub name: Arc<str>,
    /// Whether nobody knows who it is: then the name is that of a connection, and the same program may come back by another
    /// connection, with another name.
    pub is_anonymous: bool,
    /// The highest access mode of its statements. A database in read-only mode is read-only for every client.
    pub access: AccessMode,
}

/// To whom belongs what a client keeps open: its name; none for anonymous clients, to whom such things belong together.
pub type Principal = Option<Arc<str>>;

impl Caller {
    /// To whom belongs what this client keeps open.
    pub fn principal(&self) -> Principal {
        (!self.is_anonymous).then(|| self.name.clone())
    }

    /// The host that has started this process. It may do what the process may.
    pub fn stdio() -> Self {
        Self { name: "stdio".into(), is_anonymous: false, access: AccessMode::ReadWrite }
    }
}
