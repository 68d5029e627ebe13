//! What can go wrong with a statement, by what the reader can do about it.
//!
//! An error has two faces. [`QueryError::for_model`] is what the model needs to correct itself; it names no host and
//! no user. The log has the rest by `Display` and the chain of causes. Neither ever holds a password.

use std::fmt;
use std::time::Duration;

use pg_guard::Refusal;
use pg_render::DecodeError;
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

/// Why a statement has no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryError {
    /// We refused it before PostgreSQL saw it: `why` says what was wrong and what would be accepted.
    Refused {
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

/// PostgreSQL's own error: the fields of an ErrorResponse (manual, section 55.8) that a model can use.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// Five characters, manual appendix A.
    pub sqlstate: String,
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What to do; PostgreSQL's own, or ours where it gives none and we know better.
    pub hint: Option<String>,
    /// Where in the statement.
    pub position: Option<Position>,
    /// Where in a statement that a function has run, or that was made from a text; `position` is none then.
    pub internal_position: Option<Position>,
    /// Where in functions or values ("unnamed portal parameter $1 = …").
    pub context: Option<String>,
    /// The schema that the error is about, where PostgreSQL names one.
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    /// The violated constraint, if one was.
    pub constraint: Option<String>,
    /// What was being done.
    pub phase: Phase,
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
    fn doing(self) -> &'static str {
        match self {
            Self::Wait | Self::Connect => "connect to PostgreSQL",
            Self::Begin => "begin a transaction",
            Self::Check | Self::Parse | Self::Execute | Self::Fetch | Self::Encode => "run the statement",
            Self::End => "end the transaction",
        }
    }
}

/// A place in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// In characters from the start of the statement, from 1, as PostgreSQL gives it.
    pub character: usize,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// That line of the statement, cut to a window around the place.
    pub text: String,
    /// Where in `text` the place is, in characters from 0.
    pub caret: usize,
}

/// How many characters of a line are shown on either side of an error's place.
const CARET_WINDOW_CHARS: usize = 60;

impl Position {
    fn of(sql: &str, character: usize) -> Option<Self> {
        let before: Vec<char> = sql.chars().take(character.checked_sub(1)?).collect();
        let line = 1 + before.iter().filter(|&&c| c == '\n').count();
        let column = 1 + before.iter().rev().take_while(|&&c| c != '\n').count();
        let whole: Vec<char> = sql.lines().nth(line - 1).unwrap_or("").chars().collect();
        let from = (column - 1).saturating_sub(CARET_WINDOW_CHARS);
        let to = whole.len().min(column - 1 + CARET_WINDOW_CHARS);
        Some(Self {
            character,
            line,
            column,
            // A tab would be wider than the caret's space below it.
            text: whole.get(from..to).unwrap_or(&[]).iter().map(|&c| if c == '\t' { ' ' } else { c }).collect(),
            caret: column - 1 - from,
        })
    }
}

impl Rejection {
    /// PostgreSQL's error about `sql`.
    pub fn new(error: &DbError, sql: &str, phase: Phase) -> Self {
        let (position, internal_position) = match error.position() {
            Some(ErrorPosition::Original(character)) => (Position::of(sql, *character as usize), None),
            Some(ErrorPosition::Internal { position, query }) => (None, Position::of(query, *position as usize)),
            None => (None, None),
        };
        Self {
            sqlstate: error.code().code().to_owned(),
            // `severity` would be in the language of the server's messages.
            severity: error.parsed_severity().map_or_else(|| error.severity().to_owned(), |one| one.to_string()),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned).or_else(|| our_hint(error)),
            position,
            internal_position,
            context: error.where_().map(str::to_owned),
            schema: error.schema().map(str::to_owned),
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
            phase,
        }
    }
}

/// What to do about errors for which PostgreSQL has no hint, and the reason lies in how we send statements.
fn our_hint(error: &DbError) -> Option<String> {
    let hint = match *error.code() {
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "This server is in read-only mode: only reading statements run. \
             Its operator can allow writes with MCP_ACCESS_MODE=read-write."
        }
        SqlState::SYNTAX_ERROR if error.message().contains("multiple commands") => {
            "Give one statement a call, or several to batch_query_execute, which runs them in one transaction."
        }
        SqlState::UNDEFINED_FUNCTION if error.message().starts_with("no binary output function") => {
            "PostgreSQL cannot send this type as it is: cast that column to text (column::text)."
        }
        // A database in SQL_ASCII holds any bytes, and answers are UTF-8.
        SqlState::CHARACTER_NOT_IN_REPERTOIRE => {
            "If the database's encoding is SQL_ASCII, a row holds bytes that are no UTF-8: \
             convert_to(column, 'SQL_ASCII') shows them as bytea."
        }
        SqlState::INDETERMINATE_DATATYPE => "Say the parameter's type with a cast, for example $1::int.",
        SqlState::QUERY_CANCELED => {
            "The statement ran longer than POSTGRES_COMMAND_TIMEOUT, or somebody cancelled it: \
             narrow it (WHERE, LIMIT, an index), or ask the operator to raise the timeout."
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl From<Refusal> for QueryError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { why: refusal.why }
    }
}

impl QueryError {
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

    /// The error in words for the model: as psql would show it, with what to do.
    pub fn for_model(&self) -> String {
        match self {
            Self::Refused { why } | Self::Undecodable { why } => why.clone(),
            Self::Rejected(rejection) => rejection.to_string(),
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

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.sqlstate, self.message)?;
        for (position, label) in [(&self.position, "LINE"), (&self.internal_position, "QUERY: LINE")] {
            if let Some(position) = position {
                let label = format!("{label} {}: ", position.line);
                let indent = label.chars().count() + position.caret;
                write!(f, "\n{label}{}\n{:indent$}^", position.text, "")?;
            }
        }
        for (label, text) in [("DETAIL", &self.detail), ("HINT", &self.hint), ("CONTEXT", &self.context)] {
            if let Some(text) = text {
                write!(f, "\n{label}: {text}")?;
            }
        }
        Ok(())
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

#[cfg(test)]
pub(super) mod tests;
