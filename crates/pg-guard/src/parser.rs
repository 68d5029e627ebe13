//! PostgreSQL's parser, in a separate process.
//!
//! The parser is 100,000 lines of C, and it reads text that anybody may have written. If a statement crashes it (by a
//! nesting that overflows its stack, or by a bug), only this statement fails, and the process is started again for the
//! next one. The process has no connection, no environment and no secret. It is a program that the caller chooses,
//! usually its own, started with the one argument `parser`. It must call [`serve`], and it ends when its input ends.
//!
//! A request is a statement and a reply is its syntax. Each is sent as a length (4 bytes, big-endian) and then its
//! bytes.

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

/// The argument that starts the parser process.
pub const SUBCOMMAND: &str = "parser";

/// The longest statement that is parsed, in bytes. A tree needs about a hundred times the memory of its text.
pub const SQL_BYTES_MAX: usize = 1 << 20;

/// A statement of at least this length, in bytes, has a process of its own: short ones need not wait for it, and the
/// process would keep its memory.
const LONG_BYTES: usize = 64 << 10;

/// How long one statement may take. The longest statement that is parsed takes a tenth of this.
const PARSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of the stack on which the tree is traversed. Only the part that is used takes memory.
const STACK_BYTES: usize = 256 << 20;

/// Why a statement has no syntax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unreadable {
    /// The error message of the parser.
    Syntax(String),
    /// The statement has this many bytes; the limit is [`SQL_BYTES_MAX`].
    TooLong(usize),
    /// The parser process has crashed on it.
    Crashed,
    /// The parser took too long.
    TimedOut,
}

/// Access to the parser. Its process is started for the first statement.
pub struct Parser {
    program: PathBuf,
    process: Mutex<Option<Process>>,
    /// Long statements are parsed one at a time, too.
    long: Mutex<()>,
    log: Logger,
}

struct Process {
    /// The process is killed when this is dropped.
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Parser {
    /// A parser whose process is `program`, started with the argument [`SUBCOMMAND`].
    pub fn new(program: PathBuf, log: &Logger) -> Self {
        Self {
            program,
            process: Mutex::default(),
            long: Mutex::default(),
            log: log.new(slog::o!("logger" => "parser")),
        }
    }

    /// Parses `sql`. Short statements are parsed one at a time, and so are long ones.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub async fn parse(&self, sql: &str) -> Result<Syntax, Unreadable> {
        if sql.len() > SQL_BYTES_MAX {
            return Err(Unreadable::TooLong(sql.len()));
        }
        if sql.len() >= LONG_BYTES {
            let _one = self.long.lock().await;
            return self.parse_by(&mut self.started()?, sql).await.unwrap_or_else(|error| self.crashed(&error, sql));
        }
        let mut process = self.process.lock().await;
        // The process is taken out, so that a dropped call does not leave a process that is in the middle of a reply.
        if let Some(mut running) = process.take() {
            match self.parse_by(&mut running, sql).await {
                Ok(Err(Unreadable::TimedOut)) => return Err(Unreadable::TimedOut),
                Ok(parsed) => {
                    *process = Some(running);
                    return parsed;
                }
                // It has served other statements, and may have ended before it received this one.
                Err(error) => self.log_end(&error, sql),
            }
        }
        let mut new = self.started()?;
        let parsed = self.parse_by(&mut new, sql).await.unwrap_or_else(|error| self.crashed(&error, sql));
        if !matches!(parsed, Err(Unreadable::Crashed | Unreadable::TimedOut)) {
            *process = Some(new);
        }
        parsed
    }

    /// Lets a process parse a statement. An error says that the process has ended.
    async fn parse_by(&self, process: &mut Process, sql: &str) -> io::Result<Result<Syntax, Unreadable>> {
        let Ok(reply) = tokio::time::timeout(PARSE_TIMEOUT, process.parse(sql.as_bytes())).await else {
            warn!(self.log, "the parser took too long"; "sql_bytes" => sql.len());
            return Ok(Err(Unreadable::TimedOut));
        };
        let reply = reply?;
        let read = |reply: &[u8]| serde_json::from_slice(reply).unwrap_or(Err(Unreadable::Crashed));
        if reply.len() < LONG_BYTES {
            return Ok(read(&reply));
        }
        // The names of a long statement take milliseconds to read.
        let read = tokio::task::spawn_blocking(move || read(&reply)).await;
        Ok(read.unwrap_or(Err(Unreadable::Crashed)))
    }

    fn started(&self) -> Result<Process, Unreadable> {
        self.start().map_err(|error| {
            warn!(self.log, "the parser cannot be started"; "why" => error.to_string());
            Unreadable::Crashed
        })
    }

    fn crashed(&self, error: &io::Error, sql: &str) -> Result<Syntax, Unreadable> {
        self.log_end(error, sql);
        Err(Unreadable::Crashed)
    }

    fn log_end(&self, error: &io::Error, sql: &str) {
        warn!(self.log, "the parser has ended"; "why" => error.to_string(), "sql_bytes" => sql.len());
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
    async fn parse(&mut self, sql: &[u8]) -> io::Result<Vec<u8>> {
        let mut request = Vec::with_capacity(4 + sql.len());
        request.extend_from_slice(&(sql.len() as u32).to_be_bytes());
        request.extend_from_slice(sql);
        self.input.write_all(&request).await?;
        let bytes = self.output.read_u32().await?;
        let mut reply = vec![0; bytes as usize];
        self.output.read_exact(&mut reply).await?;
        Ok(reply)
    }
}

/// Runs the parser process: replies to requests until the input ends.
///
/// # Errors
/// The thread could not be started.
pub fn serve(input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> io::Result<()> {
    let serving = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || serve_all(input, output))?;
    // An error means that the other process has gone, which is the normal end.
    let _ = serving.join();
    Ok(())
}

fn serve_all(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        let mut sql = vec![0; u32::from_be_bytes(length) as usize];
        input.read_exact(&mut sql)?;
        let syntax = Syntax::of(&String::from_utf8_lossy(&sql)).map_err(Unreadable::Syntax);
        let mut reply = vec![0; 4];
        serde_json::to_writer(&mut reply, &syntax)?;
        let bytes = (reply.len() - 4) as u32;
        reply[..4].copy_from_slice(&bytes.to_be_bytes());
        output.write_all(&reply)?;
        output.flush()?;
    }
}
