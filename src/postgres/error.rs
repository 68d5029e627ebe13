//! What can go wrong with a statement, sorted by what the reader can do about it.
//!
//! An error has two texts. [`QueryError::for_model`] is what the model needs to correct itself; it names no
//! user. `Display` is for the log and has the rest, with the chain of causes. Neither ever contains a password.

use tokio_postgres::error::SqlState;

mod blocker;
mod dialect;
mod phase;
mod query_error;
mod rejection;
mod wording;

pub use blocker::Blocker;
pub use phase::{BUSY_RETRY, Clock, Phase};
pub use query_error::QueryError;
pub use rejection::{Position, Rejection};

/// An error with its causes, in one line: tokio-postgres's own `Display` stops at "db error" or "error connecting".
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

/// Whether a server that gives this answer to a question of this server's own can never answer it: it does not have what
/// is asked for, or does not let the role see it.
pub fn is_about_the_question(sqlstate: &SqlState) -> bool {
    ["42", "0A"].iter().any(|class| sqlstate.code().starts_with(class))
}

#[cfg(test)]
pub(super) mod tests;
