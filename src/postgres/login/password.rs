//! The password of a new connection. It is looked up when the connection is opened, because a file or a program may
//! return another password than at the start.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::command::CommandRunner;
use super::error::LoginError;
use crate::settings::libpq::passfile;
use crate::settings::{PasswordSource, Secret, TargetSettings, without_line_end};

/// A longer file does not contain a password.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The password, if there is one.
pub(super) struct Found {
    pub(super) password: Option<Secret>,
    /// Why there is no password, for the operator.
    pub(super) missing: Option<String>,
}

/// The passwords of one target.
pub(super) struct Passwords {
    target: Arc<TargetSettings>,
    command: CommandRunner,
}

impl Passwords {
    pub(super) fn new(target: Arc<TargetSettings>) -> Self {
        Self { target, command: CommandRunner::default() }
    }

    /// The password for `login` at this moment. A command may take `limit`.
    ///
    /// # Errors
    /// The command returns none.
    pub(super) async fn now(&self, login: passfile::Login<'_>, limit: Duration) -> Result<Found, LoginError> {
        let known = || self.target.password.clone();
        match &self.target.password_source {
            PasswordSource::Settings => Ok(Found { password: known(), missing: None }),
            PasswordSource::File(path) => {
                let path = path.clone();
                let read = blocking(move || of_file(&path)).await.flatten();
                Ok(Found { password: read.or_else(known), missing: None })
            }
            PasswordSource::PassFile(path) => {
                let file = path.clone();
                let read = blocking(move || passfile::read(&file)).await.unwrap_or(Ok(None));
                let (text, missing) = match read {
                    Ok(text) => (text, format!("{} has no line for", path.display())),
                    Err(why) => (None, format!("{} {why}; it is read for", path.display())),
                };
                let passfile::Login { host, port, database, user } = login;
                Ok(Found {
                    password: text.and_then(|text| passfile::find(&text, login)),
                    missing: Some(format!("{missing} {host}:{port}:{database}:{user}")),
                })
            }
            PasswordSource::Command(command) => {
                let password = self.command.password(command, limit).await?;
                Ok(Found { password: Some(password), missing: None })
            }
        }
    }
}

/// The password in a regular file; `None` while the file is being replaced.
fn of_file(path: &Path) -> Option<Secret> {
    let is_plain = path.metadata().is_ok_and(|about| about.is_file() && about.len() <= FILE_BYTES_MAX);
    let text = is_plain.then(|| fs::read_to_string(path).ok()).flatten()?;
    Some(without_line_end(&text)).filter(|password| !password.is_empty()).map(Secret::new)
}

/// Runs `read` on a thread that may block; `None` if it panics.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(read).await.ok()
}
