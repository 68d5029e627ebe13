//! The steps of a call, and the clocks that bound it.

use std::time::Duration;

/// The clocks that bound a call, each with the setting, or the argument, that moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Waiting for a free connection of the pool.
    PoolWait,
    /// Opening a connection.
    Connect,
    /// Running the statement.
    Command,
    /// The whole call, by its own wish.
    Call {
        /// What was being done when it ran out.
        during: Phase,
    },
}

/// After how long whoever was turned away may try again. Stated and not foreseen: most calls take far less, and to ask
/// once a second does no harm.
pub const BUSY_RETRY: Duration = Duration::from_secs(1);

impl Clock {
    /// What moves this clock.
    pub fn setting(self) -> &'static str {
        match self {
            Self::PoolWait => "POSTGRES_POOL_WAIT_TIMEOUT",
            Self::Connect => "POSTGRES_CONNECT_TIMEOUT",
            Self::Command => "POSTGRES_COMMAND_TIMEOUT",
            Self::Call { .. } => "timeout_ms",
        }
    }

    /// What was being done when it ran out.
    pub fn phase(self) -> Phase {
        match self {
            Self::PoolWait => Phase::Wait,
            Self::Connect => Phase::Connect,
            Self::Command => Phase::Execute,
            Self::Call { during } => during,
        }
    }
}

/// The steps of a call, as an error tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looking, ourselves, at what is asked; nothing of it has run.
    Check,
    /// Waiting for a connection of the pool.
    Wait,
    /// Opening a connection.
    Connect,
    /// Beginning the transaction.
    Begin,
    /// Learning what the statement takes and gives; nothing of it has run.
    Parse,
    /// Giving it its parameters and running it.
    Execute,
    /// Reading its rows.
    Fetch,
    /// Writing its values into the answer.
    Encode,
    /// Making its changes last, or taking them back.
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

    /// What could not be done then.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Wait | Self::Connect => "connect to PostgreSQL",
            Self::Begin => "begin a transaction",
            Self::Check | Self::Parse | Self::Execute | Self::Fetch | Self::Encode => "run the statement",
            Self::End => "end the transaction",
        }
    }
}
