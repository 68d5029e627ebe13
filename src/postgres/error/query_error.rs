//! Why a statement has no result, sorted by what the reader can do about it.

use std::fmt;
use std::time::Duration;

use pg_guard::{Refusal, Rule};
use pg_render::DecodeError;
use tokio_postgres::error::SqlState;

use super::blocker::Blocker;
use super::causes;
use super::phase::{Clock, Phase};
use super::rejection::Rejection;
use crate::postgres::inbox::Notices;

/// Why a statement has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryError {
    /// This server refused it before it ran: `why` says what was wrong and what would be accepted.
    Refused {
        /// The guard's rule, if it is the statement that is refused: not its parameters, its cursor or its role.
        rule: Option<Rule>,
        /// A whole sentence for the model.
        why: String,
    },
    /// A value of its result cannot be shown: PostgreSQL did not send it in the expected form.
    Undecodable {
        /// A whole sentence for the model.
        why: String,
    },
    /// PostgreSQL rejected it.
    Rejected(Box<Rejection>),
    /// The queue for connections is full.
    Busy {
        /// Its length: the setting MCP_MAX_WAITING.
        waiting_max: usize,
    },
    /// A timeout of this server was reached.
    TimedOut {
        clock: Clock,
        /// The length of the timeout.
        after: Duration,
    },
    /// The same, while the statement waited for a lock; it was cancelled.
    Blocked {
        clock: Clock,
        after: Duration,
        /// Who held the lock. Never empty.
        by: Vec<Blocker>,
    },
    /// The same, and PostgreSQL has not confirmed that the statement was cancelled.
    NoAnswer { clock: Clock, after: Duration },
    /// A cursor has ended with this error.
    CursorEnded(Box<QueryError>),
    /// An operator of this server cancelled it.
    Cancelled { phase: Phase },
    /// No password can be found, or a similar condition prevents the login.
    NoLogin {
        /// What is missing, and which settings provide it.
        why: String,
        /// More details for the log, with paths and hosts.
        detail: Option<String>,
        /// The server and user, for the log.
        target: String,
        /// Whether the cause may pass by itself.
        is_retryable: bool,
    },
    /// PostgreSQL could not be reached, or the connection was lost while the statement ran.
    Unavailable {
        /// What failed, where and why, without the user.
        why: String,
        phase: Phase,
        /// The server and user, for the log.
        target: String,
        /// Whether the statement may have taken effect (the connection was lost during COMMIT).
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

    /// The same error, for a step that may have taken effect before its connection ended.
    pub fn with_unknown_outcome(self, target: &str) -> Self {
        match self {
            Self::Unavailable { why, phase, target, .. } => {
                Self::Unavailable { why, phase, target, outcome_unknown: true }
            }
            // The backend's last message: it was terminated while it committed.
            Self::Rejected(rejection) if matches!(&*rejection.severity, "FATAL" | "PANIC") => Self::Unavailable {
                why: rejection.to_string(),
                phase: rejection.phase,
                target: target.to_owned(),
                outcome_unknown: true,
            },
            other => other,
        }
    }

    /// The same error, for a call whose COMMIT had started when a timeout or an operator ended it: the cancellation may
    /// have come too late.
    pub fn may_be_committed(self, target: &str) -> Self {
        let why = match self {
            Self::TimedOut { clock, after } | Self::Blocked { clock, after, .. } | Self::NoAnswer { clock, after } => {
                format!("the {after:?} of {} ran out", clock.setting())
            }
            Self::Cancelled { .. } => "an operator of this server cancelled the call".to_owned(),
            other => return other,
        };
        Self::Unavailable { why, phase: Phase::End, target: target.to_owned(), outcome_unknown: true }
    }

    /// The same error with the notices that PostgreSQL had sent before it.
    #[must_use]
    pub fn after(mut self, notices: Notices) -> Self {
        if let Self::Rejected(rejection) = &mut self {
            rejection.notices = notices;
        }
        self
    }

    /// The SQLSTATE, if PostgreSQL sent one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Rejected(rejection) => Some(&rejection.sqlstate),
            Self::CursorEnded(cause) => cause.sqlstate(),
            _ => None,
        }
    }

    /// Whether the connection is lost: the driver has noticed it, or the backend's last message says so (manual,
    /// appendix A: 57P01 to 57P05 are an administrator's shutdown, a crash, a server that starts or stops, a dropped
    /// database and an idle session's timeout).
    pub fn is_lost_connection(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::NoAnswer { .. } => true,
            Self::CursorEnded(cause) => cause.is_lost_connection(),
            Self::Rejected(rejection) => {
                matches!(&*rejection.severity, "FATAL" | "PANIC") || rejection.sqlstate.starts_with("57P0")
            }
            _ => false,
        }
    }

    /// Whether the server takes no more connections of this role, to this database or at all.
    pub fn is_too_many(&self) -> bool {
        self.sqlstate() == Some(SqlState::TOO_MANY_CONNECTIONS.code())
    }

    /// Whether a pooler may have refused the connection: it has one SQLSTATE for all that it says itself, and PostgreSQL
    /// has others for a login.
    pub fn may_be_of_a_pooler(&self) -> bool {
        self.sqlstate() == Some(SqlState::PROTOCOL_VIOLATION.code())
    }

    /// Whether an administrator has ended the backend, by pg_terminate_backend or by shutting the server down.
    pub fn is_termination(&self) -> bool {
        self.sqlstate() == Some(SqlState::ADMIN_SHUTDOWN.code())
    }

    /// Whether PostgreSQL has rejected a write because the transaction is READ ONLY or the server is a standby.
    pub fn needs_to_write(&self) -> bool {
        self.sqlstate() == Some(SqlState::READ_ONLY_SQL_TRANSACTION.code())
    }

    /// Whether an earlier statement of its transaction has failed, so PostgreSQL did not look at this one.
    pub fn is_in_failed_transaction(&self) -> bool {
        self.sqlstate() == Some(SqlState::IN_FAILED_SQL_TRANSACTION.code())
    }

    /// The error for a value that cannot be shown.
    pub fn undecodable(error: &DecodeError) -> Self {
        Self::Undecodable {
            why: format!("The answer cannot be shown: {error}. Cast that column to text (column::text)."),
        }
    }

    /// Whether the same call, unchanged, may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Undecodable { .. } | Self::Cancelled { .. } | Self::CursorEnded(_) => false,
            Self::Busy { .. } | Self::Blocked { .. } | Self::NoAnswer { .. } => true,
            // The operator who has cancelled it may not want it to run.
            Self::Rejected(_) if self.is_termination() => !matches!(self.phase(), Phase::Execute | Phase::Fetch),
            Self::TimedOut { clock, .. } => matches!(clock.phase(), Phase::Wait | Phase::Connect),
            Self::NoLogin { is_retryable, .. } => *is_retryable,
            Self::Unavailable { outcome_unknown, .. } => !outcome_unknown,
            // Classes: connection exceptions, insufficient resources, serialization and deadlock, "cannot connect now";
            // and a lock that is not available.
            Self::Rejected(rejection) => {
                ["08", "53", "40", "55P03", "57P0"].iter().any(|class| rejection.sqlstate.starts_with(class))
            }
        }
    }

    /// The phase in which it happened.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Refused { .. } => Phase::Check,
            Self::Undecodable { .. } => Phase::Encode,
            Self::Rejected(rejection) => rejection.phase,
            Self::Busy { .. } => Phase::Wait,
            Self::NoLogin { .. } => Phase::Connect,
            Self::TimedOut { clock, .. } | Self::Blocked { clock, .. } | Self::NoAnswer { clock, .. } => clock.phase(),
            Self::CursorEnded(cause) => cause.phase(),
            Self::Cancelled { phase } | Self::Unavailable { phase, .. } => *phase,
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLogin { why, detail: Some(detail), target, .. } => write!(f, "{target}: {why}. {detail}"),
            Self::Unavailable { why, target, .. } | Self::NoLogin { why, target, .. } => write!(f, "{target}: {why}"),
            Self::CursorEnded(cause) => cause.fmt(f),
            // The log already has the notices.
            Self::Rejected(rejection) => rejection.fmt(f),
            other => f.write_str(&other.for_model()),
        }
    }
}

impl std::error::Error for QueryError {}
