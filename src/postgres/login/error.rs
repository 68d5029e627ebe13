//! Why a connection could not be opened.

use std::error::Error;
use std::fmt;

use tokio_postgres::error::SqlState;

use crate::postgres::error::{Phase, QueryError, causes};

/// Why a connection could not be opened.
#[derive(Debug)]
pub enum LoginError {
    /// The error of the driver or of PostgreSQL.
    Driver {
        error: tokio_postgres::Error,
        /// The error with TLS, if the login was then tried without TLS.
        tls: Option<String>,
    },
    /// No password can be found, or a similar condition prevents the login.
    NoLogin {
        /// The message for everybody.
        why: String,
        /// Details for the operator only.
        detail: Option<String>,
        is_retryable: bool,
    },
}

impl From<tokio_postgres::Error> for LoginError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver { error, tls: None }
    }
}

impl LoginError {
    /// The same error, after TLS has failed with `cause`.
    pub(super) fn after_tls(self, cause: String) -> Self {
        match self {
            Self::Driver { error, .. } => Self::Driver { error, tls: Some(cause) },
            other => other,
        }
    }

    /// No host has the role that the settings ask for.
    pub(super) fn wrong_server(why: String) -> Self {
        let why = format!("{why} (POSTGRES_TARGET_SESSION_ATTRS)");
        Self::NoLogin { why, detail: None, is_retryable: true }
    }

    pub(super) fn without_host() -> Self {
        Self::NoLogin { why: "there is no host to connect to".to_owned(), detail: None, is_retryable: false }
    }

    /// The SQLSTATE of PostgreSQL's error, if it is one.
    pub(in crate::postgres) fn sqlstate(&self) -> Option<&SqlState> {
        match self {
            Self::Driver { error, .. } => error.code(),
            Self::NoLogin { .. } => None,
        }
    }

    /// Whether PostgreSQL has refused this user with this password.
    pub(super) fn is_refused_login(&self) -> bool {
        matches!(self.sqlstate(), Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION))
    }

    /// The error of a login without a password. It is replaced if the driver only says that a password is missing.
    pub(super) fn without_password(self, missing: Option<&str>, source: &str) -> Self {
        match &self {
            Self::Driver { error, .. } if is_password_missing(error) => Self::NoLogin {
                why: "PostgreSQL asks for a password, and there is none: set POSTGRES_PASSWORD, POSTGRES_PASSWORD_FILE or \
                      POSTGRES_PASSWORD_COMMAND, or add a line to libpq's password file (.pgpass)"
                    .to_owned(),
                detail: missing.map(|missing| format!("{source}: {missing}")),
                is_retryable: false,
            },
            _ => self,
        }
    }

    /// The same error for a call that waits for the connection. `target` is the server and user.
    pub(in crate::postgres) fn query_error(&self, target: &str) -> QueryError {
        let (error, tls) = match self {
            Self::NoLogin { why, detail, is_retryable } => {
                return QueryError::NoLogin {
                    why: why.clone(),
                    detail: detail.clone(),
                    target: target.to_owned(),
                    is_retryable: *is_retryable,
                };
            }
            Self::Driver { error, tls } => (error, tls),
        };
        let mut told = QueryError::of(error, "", Phase::Connect, target);
        if let Some(tls) = tls {
            let before = format!("With TLS: {tls}");
            match &mut told {
                QueryError::Rejected(rejection) => {
                    let detail = rejection.detail.take().map(|detail| format!("{detail}\n"));
                    rejection.detail = Some(format!("{}{before}", detail.unwrap_or_default()));
                }
                QueryError::Unavailable { why, .. } => *why = format!("{why} ({before})"),
                _ => {}
            }
        }
        told
    }
}

/// Whether the driver needs a password that it does not have. The driver has no code for this error.
fn is_password_missing(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|source| source.to_string() == "password missing")
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver { error, .. } => f.write_str(&causes(error)),
            Self::NoLogin { why, .. } => f.write_str(why),
        }
    }
}

impl Error for LoginError {}
