//! The text of an error for the model.

use super::phase::{BUSY_RETRY, Clock, Phase};
use super::query_error::QueryError;

impl QueryError {
    /// The error for the model: as psql shows it, with what to do.
    pub fn for_model(&self) -> String {
        match self {
            Self::Refused { why, .. } | Self::Undecodable { why } => why.clone(),
            Self::Rejected(rejection) if rejection.notices.is_empty() => rejection.to_string(),
            Self::Rejected(rejection) => format!("{rejection}\n{}", rejection.notices).trim_end().to_owned(),
            Self::Busy { waiting_max } => format!(
                "Busy: {waiting_max} calls are waiting for a connection already (MCP_MAX_WAITING). \
                 Try again in {BUSY_RETRY:?}, with fewer calls at once."
            ),
            Self::Cancelled { phase: Phase::Wait | Phase::Connect } => {
                "The call was cancelled by an operator of this server before it had a connection. \
                 Do not repeat it as it was: ask the operator."
                    .to_owned()
            }
            Self::Cancelled { .. } => "The call was cancelled by an operator of this server, in PostgreSQL too. \
                                       Do not repeat it as it was: narrow it, or ask the operator."
                .to_owned(),
            Self::TimedOut { clock, after } => {
                let setting = clock.setting();
                match clock {
                    Clock::PoolWait => format!(
                        "No connection of the pool became free within {after:?} ({setting}). Try again in {BUSY_RETRY:?} \
                         with fewer calls at once; the operator can raise POSTGRES_POOL_SIZE."
                    ),
                    Clock::Connect => format!(
                        "The database did not accept a connection within {after:?} ({setting}). Try again later; \
                         if it lasts, the operator should look at host, port and network."
                    ),
                    Clock::Command => format!(
                        "The statement did not finish within {after:?} ({setting}) and was cancelled in PostgreSQL. \
                         Narrow it (WHERE, LIMIT, an index)."
                    ),
                    Clock::Call { during: Phase::Wait } => format!(
                        "The call's {after:?} ({setting}) ran out while it waited for a connection, and it changed nothing. \
                         Try again in {BUSY_RETRY:?} with fewer calls at once, or give it more time."
                    ),
                    Clock::Call { during: Phase::Connect } => format!(
                        "The call's {after:?} ({setting}) ran out before the database had accepted a connection, and it \
                         changed nothing. Give it more time, or try again later."
                    ),
                    Clock::Call { .. } => format!(
                        "The call did not finish within {after:?} (its {setting}) and was cancelled, in PostgreSQL too. \
                         Give it more time, or narrow it (WHERE, LIMIT, an index)."
                    ),
                }
            }
            Self::Unavailable { why, outcome_unknown: false, .. } => {
                format!(
                    "The database is not available: {why}. Nothing was changed by this call; it can be tried again."
                )
            }
            Self::Unavailable { why, outcome_unknown: true, .. } => format!(
                "The call was ended while its changes were being made to last: {why}. \
                 Whether they were made is unknown: look before doing it again."
            ),
        }
    }
}
