//! Why a statement has no answer, by what the reader can do about it.

use std::fmt;
use std::time::Duration;

use pg_guard::{Refusal, Rule};
use pg_render::DecodeError;
use tokio_postgres::error::SqlState;

use super::causes;
use super::phase::{Clock, Phase};
use super::rejection::Rejection;

/// Why a statement has no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryError {
    /// We refused it before PostgreSQL saw it: `why` says what was wrong and what would be accepted.
    Refused {
        /// The guard's rule, if it is the statement that is refused: not its parameters, its cursor or its role.
        rule: Option<Rule>,
        /// A whole sentence for the model.
        why: String,
    },
    /// A value of its answer cannot be shown: one that PostgreSQL has not sent as it should.
    Undecodable {
        /// A whole sentence for the model.
        why: String,
    },
    /// PostgreSQL refused it.
    Rejected(Box<Rejection>),
    /// As many calls as may wait for a connection are waiting.
    Busy {
        /// That many: the setting MCP_MAX_WAITING.
        waiting_max: usize,
    },
    /// A clock of ours ran out.
    TimedOut {
        clock: Clock,
        /// How long it was set to.
        after: Duration,
    },
    /// An operator of this server wanted it to end.
    Cancelled {
        /// What was being done.
        phase: Phase,
    },
    /// PostgreSQL could not be reached, or the connection was lost under the statement.
    Unavailable {
        /// What was being done and why it failed, without host and user.
        why: String,
        /// What was being done.
        phase: Phase,
        /// Where it was tried, for the log.
        target: String,
        /// Whether the statement may have been done all the same (the connection was lost during COMMIT).
        outcome_unknown: bool,
    },
}

impl From<Refusal> for QueryError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { rule: Some(refusal.rule), why: refusal.why }
    }
}

impl QueryError {
    /// A refusal by none of the guard's rules.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { rule: None, why: why.into() }
    }

    /// `error` of tokio-postgres in `phase` of `sql`, at `target`.
    pub fn of(error: &tokio_postgres::Error, sql: &str, phase: Phase, target: &str) -> Self {
        match error.as_db_error() {
            Some(db) => Self::Rejected(Box::new(Rejection::new(db, sql, phase))),
            None => Self::Unavailable {
                why: format!("could not {}: {}", phase.doing(), causes(error)),
                phase,
                target: target.to_owned(),
                outcome_unknown: false,
            },
        }
    }

    /// The same error, of a step that may have been done all the same when its connection ended under it.
    pub fn unsure(self, target: &str) -> Self {
        match self {
            Self::Unavailable { why, phase, target, .. } => {
                Self::Unavailable { why, phase, target, outcome_unknown: true }
            }
            // The backend's last words: it was ended while it committed.
            Self::Rejected(rejection) if matches!(&*rejection.severity, "FATAL" | "PANIC") => Self::Unavailable {
                why: rejection.to_string(),
                phase: rejection.phase,
                target: target.to_owned(),
                outcome_unknown: true,
            },
            other => other,
        }
    }

    /// The same error, of a call whose changes were being made to last when a clock or an operator ended it: the
    /// cancellation may have come too late.
    pub fn too_late(self, target: &str) -> Self {
        let why = match self {
            Self::TimedOut { clock, after } => format!("the {after:?} of {} ran out", clock.setting()),
            Self::Cancelled { .. } => "an operator of this server cancelled the call".to_owned(),
            other => return other,
        };
        Self::Unavailable { why, phase: Phase::End, target: target.to_owned(), outcome_unknown: true }
    }

    /// The SQLSTATE, where PostgreSQL gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Rejected(rejection) => Some(&rejection.sqlstate),
            _ => None,
        }
    }

    /// Whether the connection is gone: by our own eyes, or by the backend's last words (manual, appendix A: 57P01 to 57P05
    /// are an administrator's shutdown, a crash, a start or stop, a dropped database and an idle session's end).
    pub fn is_lost_connection(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Rejected(rejection) => {
                matches!(&*rejection.severity, "FATAL" | "PANIC") || rejection.sqlstate.starts_with("57P0")
            }
            _ => false,
        }
    }

    /// Whether PostgreSQL has refused a write in a transaction that is READ ONLY, or on a standby.
    pub fn needs_to_write(&self) -> bool {
        self.sqlstate() == Some(SqlState::READ_ONLY_SQL_TRANSACTION.code())
    }

    /// Of a value that cannot be shown.
    pub fn undecodable(error: &DecodeError) -> Self {
        Self::Undecodable {
            why: format!("The answer cannot be shown: {error}. Cast that column to text (column::text)."),
        }
    }

    /// Whether the same call may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Undecodable { .. } | Self::Cancelled { .. } => false,
            Self::Busy { .. } => true,
            Self::TimedOut { clock, .. } => matches!(clock.phase(), Phase::Wait | Phase::Connect),
            Self::Unavailable { outcome_unknown, .. } => !outcome_unknown,
            // Connection exceptions, resources, serialization and deadlock, "cannot connect now".
            Self::Rejected(rejection) => {
                ["08", "53", "40", "57P0"].iter().any(|class| rejection.sqlstate.starts_with(class))
            }
        }
    }

    /// What was being done.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Refused { .. } => Phase::Check,
            Self::Undecodable { .. } => Phase::Encode,
            Self::Rejected(rejection) => rejection.phase,
            Self::Busy { .. } => Phase::Wait,
            Self::TimedOut { clock, .. } => clock.phase(),
            Self::Cancelled { phase } | Self::Unavailable { phase, .. } => *phase,
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { why, target, .. } => write!(f, "{target}: {why}"),
            other => f.write_str(&other.for_model()),
        }
    }
}

impl std::error::Error for QueryError {}
