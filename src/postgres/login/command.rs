//! POSTGRES_PASSWORD_COMMAND: a program that prints the password.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::LoginError;
use crate::settings::{PasswordCommand, Secret};

/// The longest password in bytes. Tokens of cloud providers have some thousands.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

/// How many bytes of stderr are read.
const STDERR_BYTES_MAX: u64 = 4 << 10;

/// The longest line of stderr that is shown, in characters.
const STDERR_CHARS_MAX: usize = 200;

/// Runs the command, once at a time. A connection that has waited for the run of another one takes its result.
#[derive(Default)]
pub(super) struct CommandRunner {
    last: Mutex<Option<(Instant, Result<Secret, Failure>)>>,
}

/// Why the command returns no password.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    why: String,
    /// For the operator: the first line of its stderr.
    said: Option<String>,
}

impl CommandRunner {
    /// The password that the command prints within `limit`.
    ///
    /// # Errors
    /// It prints none.
    pub(super) async fn password(&self, command: &PasswordCommand, limit: Duration) -> Result<Secret, LoginError> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        let printed = match &*last {
            Some((ended, printed)) if *ended > asked => printed.clone(),
            _ => {
                let printed = match tokio::time::timeout(limit, run(command)).await {
                    Ok(printed) => printed,
                    // The drop has killed the program.
                    Err(_) => Err(Failure {
                        why: format!("it did not end within {limit:?} (POSTGRES_CONNECT_TIMEOUT)"),
                        said: None,
                    }),
                };
                *last = Some((Instant::now(), printed.clone()));
                printed
            }
        };
        printed.map_err(|Failure { why, said }| LoginError::NoLogin {
            why: format!("POSTGRES_PASSWORD_COMMAND gives no password: {why}"),
            detail: said.map(|said| format!("it says: {said}")),
            is_retryable: true,
        })
    }
}

async fn run(command: &PasswordCommand) -> Result<Secret, Failure> {
    let failed = |why: String| Failure { why, said: None };
    let PasswordCommand { program, arguments } = command;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("{program} cannot be run: {error}")))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed("its output cannot be read".to_owned()));
    };
    let (printed, said) = tokio::join!(head(stdout, PASSWORD_BYTES_MAX + 1), head(stderr, STDERR_BYTES_MAX));
    let status = child.wait().await.map_err(|error| failed(format!("it cannot be waited for: {error}")))?;
    password(status, &printed, &said)
}

/// Reads everything, and keeps only this many bytes.
async fn head(mut from: impl AsyncRead + Unpin, bytes_max: u64) -> Vec<u8> {
    let mut kept = Vec::new();
    let _ = (&mut from).take(bytes_max).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    kept
}

/// The password, from what the program has printed. Its stderr is shown only if it has printed nothing; otherwise it
/// could contain a part of the password.
fn password(status: ExitStatus, printed: &[u8], said: &[u8]) -> Result<Secret, Failure> {
    let said = printed.is_empty().then(|| {
        let said = String::from_utf8_lossy(said);
        let line = said.lines().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().filter(|character| !character.is_control()).take(STDERR_CHARS_MAX).collect())
    });
    let failed = |why: String| Failure { why, said: said.clone().flatten() };
    if !status.success() {
        return Err(failed(format!("it ended with {status}")));
    }
    if printed.len() as u64 > PASSWORD_BYTES_MAX {
        return Err(failed(format!("it printed more than {PASSWORD_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(printed).map_err(|_| failed("it printed no UTF-8".to_owned()))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line)),
        None => Err(failed("it printed an empty line, or nothing".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_first_line_is_the_password_and_a_failure_never_shows_what_was_printed() {
        let (ended, failed) = (ExitStatus::from_raw(0), ExitStatus::from_raw(2 << 8));
        for (status, printed, said, expected) in [
            (ended, "secret\n", "", Ok("secret")),
            (ended, "secret\r\nuser: x\n", "a warning", Ok("secret")),
            (ended, " secret ", "", Ok(" secret ")),
            (ended, "", "not logged in\nmore", Err(("it printed an empty line, or nothing", Some("not logged in")))),
            (ended, "\nsecret", "", Err(("it printed an empty line, or nothing", None))),
            (failed, "", "\n  not \u{7}logged in\n", Err(("it ended with exit status: 2", Some("not logged in")))),
            (failed, "secret", "secret", Err(("it ended with exit status: 2", None))),
            (failed, "", "", Err(("it ended with exit status: 2", None))),
        ] {
            let read = password(status, printed.as_bytes(), said.as_bytes());
            let read = read.map(|secret| secret.expose().to_owned()).map_err(|failure| (failure.why, failure.said));
            let expected = expected
                .map(str::to_owned)
                .map_err(|(why, said): (&str, Option<&str>)| (why.to_owned(), said.map(str::to_owned)));
            assert_eq!(read, expected, "{printed:?} {said:?}");
        }
        let long = password(ended, &vec![b'a'; PASSWORD_BYTES_MAX as usize + 1], b"").unwrap_err();
        assert_eq!(long.why, "it printed more than 65536 bytes");
        assert_eq!(password(ended, &[0xff], b"").unwrap_err().why, "it printed no UTF-8");
    }
}
