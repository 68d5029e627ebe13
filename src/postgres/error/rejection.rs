//! An error that PostgreSQL sent.

use std::fmt;

use tokio_postgres::error::{DbError, ErrorPosition, Severity, SqlState};

use super::dialect;
use super::phase::Phase;
use crate::postgres::inbox::Notices;

/// Functions of PostgreSQL that raise an error whose SQLSTATE has other causes too. The message would show which it is,
/// but it is in the language of the server.
const PARSES_ONE_STATEMENT: &str = "exec_parse_message";
const FINDS_BINARY_OUTPUT: &str = "getTypeBinaryOutputInfo";

/// The message. Before the login, a server sends messages in an unknown encoding. If bytes of such a message are not
/// UTF-8 (the driver has replaced them by U+FFFD), the meaning of the SQLSTATE comes first.
fn readable(error: &DbError, phase: Phase) -> String {
    let message = error.message();
    if phase != Phase::Connect || !message.contains(char::REPLACEMENT_CHARACTER) {
        return message.to_owned();
    }
    let words = match error.code().code() {
        "28P01" => "the password was not accepted",
        "28000" => "this user may not log in from here (pg_hba.conf)",
        "3D000" => "there is no such database",
        "42501" => "this user may not connect to this database",
        "53300" => "the server takes no more connections",
        "57P03" => "the server is starting or stopping",
        _ => "the server has refused the connection",
    };
    format!("{words} (the server says, in an encoding that is not known: {message})")
}

/// Functions of PostgreSQL that end a statement for an external reason.
fn is_of_interrupts(routine: &str) -> bool {
    routine.starts_with("ProcessInterrupts") || routine.starts_with("ProcessRecoveryConflict")
}

/// An error that PostgreSQL sent: the fields of an ErrorResponse (manual, section 55.8) that a model can use.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// Five characters, manual appendix A.
    pub sqlstate: String,
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// The primary message.
    pub message: String,
    /// The details, if PostgreSQL sent any.
    pub detail: Option<String>,
    /// What to do: PostgreSQL's hint, or this server's own where PostgreSQL sent none or knows less.
    pub hint: Option<String>,
    /// The position in the statement.
    pub position: Option<Position>,
    /// The position in another statement, which a function has run or which was built from a text; `position` is none
    /// then.
    pub internal_position: Option<Position>,
    /// The functions or values involved ("unnamed portal parameter $1 = …").
    pub context: Option<String>,
    /// The schema that the error is about, where PostgreSQL names one.
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    /// The violated constraint, if one was.
    pub constraint: Option<String>,
    /// The phase in which it happened.
    pub phase: Phase,
    /// Whether an external reason has ended the statement: a time limit, a cancellation, or a conflict with recovery.
    pub is_interrupt: bool,
    /// The notices that PostgreSQL had sent before it.
    pub notices: Notices,
}

/// A position in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// In characters from the start of the statement, counted from 1, as PostgreSQL sends it.
    pub character: usize,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// That line of the statement, cut to a window around the position.
    pub text: String,
    /// The position in `text`, in characters counted from 0.
    pub caret: usize,
}

/// How many characters of a line are shown on each side of an error's position.
const CARET_WINDOW_CHARS: usize = 60;

impl Position {
    pub(super) fn of(sql: &str, character: usize) -> Option<Self> {
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
    /// Takes the fields from the driver's error about `sql`.
    pub fn new(error: &DbError, sql: &str, phase: Phase) -> Self {
        let (position, internal_position) = match error.position() {
            Some(ErrorPosition::Original(character)) => (Position::of(sql, *character as usize), None),
            Some(ErrorPosition::Internal { position, query }) => (None, Position::of(query, *position as usize)),
            None => (None, None),
        };
        Self {
            sqlstate: error.code().code().to_owned(),
            // `severity` is in the language of the server's messages.
            severity: error.parsed_severity().map_or_else(|| error.severity().to_owned(), |one| one.to_string()),
            message: readable(error, phase),
            detail: error.detail().map(str::to_owned),
            hint: dialect::hint(sql, error.code(), position.as_ref().map(|position| position.character))
                .or_else(|| cause_in_words(error))
                .or_else(|| error.hint().map(str::to_owned))
                .or_else(|| our_hint(error)),
            position,
            internal_position,
            context: error.where_().map(str::to_owned),
            schema: error.schema().map(str::to_owned),
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
            phase,
            is_interrupt: error.routine().is_some_and(is_of_interrupts),
            notices: Notices::default(),
        }
    }
}

/// A hint for a conflict with recovery. PostgreSQL's own hint is about opening a new connection.
fn cause_in_words(error: &DbError) -> Option<String> {
    let is_one = *error.code() == SqlState::T_R_SERIALIZATION_FAILURE && error.routine().is_some_and(is_of_interrupts);
    let hint = "The server is a standby, and what the primary has changed took away what this statement was reading. Run it \
                again; if it is long, run it on the primary, or ask the operator for a longer max_standby_streaming_delay.";
    is_one.then(|| hint.to_owned())
}

/// Hints for errors for which PostgreSQL has none, because the cause lies in how this server sends statements.
fn our_hint(error: &DbError) -> Option<String> {
    let hint = match *error.code() {
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "This server is in read-only mode: only reading statements run. \
             Its operator can allow writes with MCP_ACCESS_MODE=read-write."
        }
        SqlState::T_R_SERIALIZATION_FAILURE => {
            "Another transaction has changed the same rows at the same time. Run it again."
        }
        SqlState::LOCK_NOT_AVAILABLE => "Another transaction holds a lock that it needs. Try again later.",
        SqlState::ADMIN_SHUTDOWN => {
            "An administrator has ended this connection (pg_terminate_backend), or the server is shutting down. It was not \
             run again: do so only if it was not ended on purpose."
        }
        // transaction_timeout, of PostgreSQL 17; the driver has no name for it.
        ref other if other.code() == "25P04" => {
            "A limit of the database server (transaction_timeout) ended its connection: ask for less at once."
        }
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT | SqlState::IDLE_SESSION_TIMEOUT => {
            "A limit of the database server (set for the role, the database or the whole server) ended its connection while \
             nothing was read from it: fetch its pages sooner, or ask for less at once."
        }
        // PgBouncer sends the severity as a text alone.
        SqlState::PROTOCOL_VIOLATION if matches!(error.parsed_severity(), None | Some(Severity::Fatal)) => {
            "A pooler in front of PostgreSQL, such as PgBouncer, answers so: it has no connection left (its \
             query_wait_timeout, max_client_conn, or a limit of the server), does not know the user, or takes TLS alone. \
             Try again later; if it lasts, the operator has to look at the pooler."
        }
        SqlState::SYNTAX_ERROR if error.routine() == Some(PARSES_ONE_STATEMENT) => {
            "Give one statement a call, or several to batch_query_execute, which runs them in one transaction."
        }
        SqlState::UNDEFINED_FUNCTION if error.routine() == Some(FINDS_BINARY_OUTPUT) => {
            "PostgreSQL cannot send this type as it is: cast that column to text (column::text)."
        }
        // A database in SQL_ASCII can contain any bytes, and answers are UTF-8.
        SqlState::CHARACTER_NOT_IN_REPERTOIRE => {
            "If the database's encoding is SQL_ASCII, a row holds bytes that are no UTF-8: \
             convert_to(column, 'SQL_ASCII') shows them as bytea."
        }
        SqlState::ACTIVE_SQL_TRANSACTION => {
            "It can only run alone: give it to async_query_execute as it is, outside of a batch, a function and DO."
        }
        SqlState::INVALID_TRANSACTION_TERMINATION => {
            "A procedure that commits can only be called alone, by async_query_execute, and by no function or batch."
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
