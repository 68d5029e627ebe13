//! Who asks, and the most that they may: one value that goes with a call from the client's session to the executor, the
//! metrics and the log.

use std::sync::Arc;

use crate::settings::AccessMode;

/// A client, as whoever works for it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its name, unique among those that are there: `stdio`, a token's name, `session 7`. It stands in the log.
    pub name: Arc<str>,
    /// The most that its statements may do; a database in read-only mode is read-only to everybody.
    pub access: AccessMode,
}

impl Caller {
    /// The host that has started this process, which may do what the process may.
    pub fn stdio() -> Self {
        Self { name: "stdio".into(), access: AccessMode::ReadWrite }
    }
}
