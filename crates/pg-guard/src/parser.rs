//! PostgreSQL's parser, in a process of its own.
//!
//! The parser is 100,000 lines of C that read what anybody may have written. What crashes it (a nesting that
//! overflows its stack, a bug) costs the one statement: the process is started again for the next. It has no
//! connection, no environment and no secret. It is a program of the caller's, as a rule itself again, whose one argument
//! is `parser`: a child that calls [`serve`] and ends when its input ends.
//!
//! One statement goes there and its syntax comes back, each as a length (4 bytes, big-endian) and so many bytes.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slog::{Logger, debug, warn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use crate::syntax::Syntax;

/// The subcommand that is the parser's process.
pub const SUBCOMMAND: &str = "parser";

/// A longer statement is not parsed, in bytes: its tree would need some hundred times of that.
pub const SQL_BYTES_MAX: usize = 1 << 20;

/// After a statement of this length, in bytes, its process is not used again: it would keep the memory.
const RESTART_BYTES: usize = 64 << 10;

/// How long a statement may take; the longest that is parsed takes a tenth of it.
const PARSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the parser's tree needs of the stack while it is walked; memory only where it is touched.
const STACK_BYTES: usize = 256 << 20;

/// Why a statement has no syntax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unreadable {
    /// The parser's words.
    Syntax(String),
    /// It has so many bytes, and not more than [`SQL_BYTES_MAX`] are read.
    TooLong(usize),
    /// Its process ended over it.
    Crashed,
    /// It took too long.
    TimedOut,
}

/// A way to the parser. Its process begins with the first statement.
pub struct Parser {
    program: PathBuf,
    process: Mutex<Option<Process>>,
    log: Logger,
}

struct Process {
    /// Killed when it is dropped.
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Parser {
    /// A parser that is the subcommand of `program`.
    pub fn new(program: PathBuf, log: &Logger) -> Self {
        Self { program, process: Mutex::default(), log: log.new(slog::o!("logger" => "parser")) }
    }

    /// The syntax of `sql`. One statement at a time; the others wait.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub async fn parse(&self, sql: &str) -> Result<Syntax, Unreadable> {
        if sql.len() > SQL_BYTES_MAX {
            return Err(Unreadable::TooLong(sql.len()));
        }
        let mut process = self.process.lock().await;
        loop {
            // Taken out: a call that is dropped meanwhile leaves no process behind that is in the middle of an answer.
            let before = process.take();
            let is_new = before.is_none();
            let mut running = match before {
                Some(running) => running,
                None => self.start().map_err(|error| {
                    warn!(self.log, "the parser cannot be started"; "why" => error.to_string());
                    Unreadable::Crashed
                })?,
            };
            match tokio::time::timeout(PARSE_TIMEOUT, running.ask(sql.as_bytes())).await {
                Ok(Ok(answer)) => {
                    if sql.len() < RESTART_BYTES {
                        *process = Some(running);
                    }
                    return serde_json::from_slice(&answer).unwrap_or(Err(Unreadable::Crashed));
                }
                Ok(Err(error)) => {
                    warn!(self.log, "the parser has ended"; "why" => error.to_string(), "sql_bytes" => sql.len());
                    // One that has answered others may have ended before it heard of this statement.
                    if is_new {
                        return Err(Unreadable::Crashed);
                    }
                }
                Err(_) => {
                    warn!(self.log, "the parser took too long"; "sql_bytes" => sql.len());
                    return Err(Unreadable::TimedOut);
                }
            }
        }
    }

    fn start(&self) -> io::Result<Process> {
        let mut child = Command::new(&self.program)
            .arg(SUBCOMMAND)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        debug!(self.log, "the parser has started"; "pid" => child.id());
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Process { _child: child, input, output }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Process {
    async fn ask(&mut self, sql: &[u8]) -> io::Result<Vec<u8>> {
        let mut question = Vec::with_capacity(4 + sql.len());
        question.extend_from_slice(&(sql.len() as u32).to_be_bytes());
        question.extend_from_slice(sql);
        self.input.write_all(&question).await?;
        let bytes = self.output.read_u32().await?;
        let mut answer = vec![0; bytes as usize];
        self.output.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

/// The parser's process: answers until its input ends.
///
/// # Errors
/// Its thread could not be started.
pub fn serve(input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> io::Result<()> {
    let answering = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || answer_all(input, output))?;
    // It ends by an error when whoever asked has gone, which is no failure.
    let _ = answering.join();
    Ok(())
}

fn answer_all(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let mut sql = vec![0; u32::from_be_bytes(length) as usize];
        input.read_exact(&mut sql)?;
        let syntax = Syntax::of(&String::from_utf8_lossy(&sql)).map_err(Unreadable::Syntax);
        let mut answer = vec![0; 4];
        serde_json::to_writer(&mut answer, &syntax)?;
        let bytes = (answer.len() - 4) as u32;
        answer[..4].copy_from_slice(&bytes.to_be_bytes());
        output.write_all(&answer)?;
        output.flush()?;
    }
}
