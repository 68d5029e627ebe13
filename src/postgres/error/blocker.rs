//! A backend that another waits for.

use std::fmt;
use std::time::Duration;

/// A backend that holds a lock for which a statement waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Its process; 0 is a prepared transaction, which has none.
    pub pid: i32,
    /// `active`, `idle in transaction` …; none if this role may not see it.
    pub state: Option<String>,
    /// For how many seconds it has been so.
    pub seconds: Option<i64>,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("a prepared transaction");
        }
        write!(f, "pid {}", self.pid)?;
        match (&self.state, self.seconds.and_then(|seconds| u64::try_from(seconds).ok())) {
            (Some(state), Some(seconds)) => write!(f, " ({state} for {:?})", Duration::from_secs(seconds)),
            (Some(state), None) => write!(f, " ({state})"),
            (None, _) => Ok(()),
        }
    }
}
