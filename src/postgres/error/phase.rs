//! The phases of a call, and its timeouts.

use std::time::Duration;

/// The timeouts of a call, each with the setting or the argument that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Waiting for a free connection of the pool.
    PoolWait,
    /// Opening a connection.
    Connect,
    /// Running the statement.
    Command,
    /// The whole call, by its argument `timeout_ms`.
    Call {
        /// The phase of the call when the time was over.
        during: Phase,
    },
}

/// After how long a client that was refused may try again. It is a fixed value and no estimate: most calls take much
/// less time, and one attempt a second does no harm.
pub const BUSY_RETRY: Duration = Duration::from_secs(1);

impl Clock {
    /// The setting or the argument of this timeout.
    pub fn setting(self) -> &'static str {
        match self {
            Self::PoolWait => "POSTGRES_POOL_WAIT_TIMEOUT",
            Self::Connect => "POSTGRES_CONNECT_TIMEOUT",
            Self::Command => "POSTGRES_COMMAND_TIMEOUT",
            Self::Call { .. } => "timeout_ms",
        }
    }

    /// The phase of the call when the time was over.
    pub fn phase(self) -> Phase {
        match self {
            Self::PoolWait => Phase::Wait,
            Self::Connect => Phase::Connect,
            Self::Command => Phase::Execute,
            Self::Call { during } => during,
        }
    }
}

/// The phases of a call, as an error names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// This server's own checks; nothing has run.
    Check,
    /// Waiting for a connection of the pool.
    Wait,
    /// Opening a connection.
    Connect,
    /// Beginning the transaction.
    Begin,
    /// Parsing the statement in PostgreSQL to learn its parameters and columns; nothing has run.
    Parse,
    /// Binding its parameters and running it.
    Execute,
    /// Reading its rows.
    Fetch,
    /// Writing its values into the answer.
    Encode,
    /// Committing or rolling back.
    End,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Wait => "wait",
            Self::Connect => "connect",
            Self::Begin => "begin",
            Self::Parse => "parse",
            Self::Execute => "execute",
            Self::Fetch => "fetch",
            Self::Encode => "encode",
            Self::End => "end",
        }
    }

    /// The action that failed in this phase, in words.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Wait | Self::Connect => "connect to PostgreSQL",
            Self::Begin => "begin a transaction",
            Self::Check | Self::Parse | Self::Execute | Self::Fetch | Self::Encode => "run the statement",
            Self::End => "end the transaction",
        }
    }
}
