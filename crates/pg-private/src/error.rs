//! Why there is no cluster.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::{fmt, io};

/// Lines of the server's log that an error quotes.
const LOG_LINES_MAX: usize = 20;

/// Why there is no cluster. Each variant says what its reader can do.
#[derive(Debug)]
pub enum ClusterError {
    /// No folder that was looked in has both `initdb` and `postgres`: install PostgreSQL.
    NotInstalled {
        /// Where they were sought.
        looked_in: Vec<PathBuf>,
    },
    /// Something else listens there: end it, or make another cluster.
    PortTaken {
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// A program ended that should not have: read what it said.
    Failed {
        /// `initdb`, `postgres`, `pg_config` or `id`.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        said: String,
    },
    /// The server runs but took no session in 30 s: read what it said.
    Silent {
        /// The last lines that it wrote.
        said: String,
    },
    /// The operating system refused.
    Io {
        /// What was to be done.
        what: &'static str,
        /// Its reason.
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
            Self::Failed { program, status, said } => {
                write!(f, "{program} failed ({status}). It said:\n{said}")
            }
            Self::Silent { said } => {
                write!(f, "postgres takes no session after 30 s. It said:\n{said}")
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
