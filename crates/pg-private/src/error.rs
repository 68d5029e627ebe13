//! The errors: why a cluster could not be made, started or stopped.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::{fmt, io};

/// How many lines of the server log an error quotes.
const LOG_LINES_MAX: usize = 20;

/// Why a cluster could not be made, started or stopped. Each variant says what can be done about it.
#[derive(Debug)]
pub enum ClusterError {
    /// No folder has both `initdb` and `postgres`: install PostgreSQL.
    NotInstalled {
        /// The folders that were searched.
        looked_in: Vec<PathBuf>,
    },
    /// Another process listens on the port: end it, or make another cluster.
    PortTaken {
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// A program failed: read its output.
    Failed {
        /// `initdb`, `postgres`, `pg_config` or `id`.
        program: &'static str,
        /// The exit status.
        status: ExitStatus,
        /// The last lines of its output.
        output: String,
    },
    /// The server runs but accepts no session after 30 s: read its output.
    Silent {
        /// The last lines of its output.
        output: String,
    },
    /// An error of the operating system.
    Io {
        /// The failed operation.
        what: &'static str,
        /// The error.
        source: io::Error,
    },
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { looked_in } => {
                f.write_str(
                    "no PostgreSQL server is installed: no folder has both initdb and postgres.\n  \
                     Debian, Ubuntu: apt-get install postgresql\n  \
                     macOS: brew install postgresql@17\n  \
                     elsewhere: set PG_BIN_DIR to the folder that has them\nLooked in:",
                )?;
                looked_in.iter().try_for_each(|folder| write!(f, " {}", folder.display()))
            }
            Self::PortTaken { port } => write!(f, "port {port} of 127.0.0.1 is taken"),
            Self::Failed { program, status, output } => {
                write!(f, "{program} failed ({status}). It said:\n{output}")
            }
            Self::Silent { output } => {
                write!(f, "postgres takes no session after 30 s. It said:\n{output}")
            }
            Self::Io { what, source } => write!(f, "could not {what}: {source}"),
        }
    }
}

impl std::error::Error for ClusterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

pub(crate) fn at(what: &'static str) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::Io { what, source }
}

pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
}
