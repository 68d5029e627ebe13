//! The three servers. Two of them are this program with another first argument.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::cases::Case;
use crate::common::{Host, our_server};

/// No limit of our server is reached; all other settings have their defaults.
const SETTINGS: &str = "
POSTGRES_POOL_SIZE=8
POSTGRES_POOL_WAIT_TIMEOUT=600
POSTGRES_COMMAND_TIMEOUT=600
MCP_MAX_ROWS=1000000
MCP_MAX_ROWS_CEILING=1000000
MCP_MAX_BYTES=100000000
MCP_MAX_BYTES_CEILING=100000000
MCP_MAX_IN_FLIGHT=100000
MCP_MAX_WAITING=100000
MCP_ROLE_CHECK=off
";

/// With this first argument this program is the echo.
pub const SERVE_ECHO: &str = "--serve-echo";

/// With this first argument this program is the yardstick. The second is the address of the database.
pub const SERVE_YARDSTICK: &str = "--serve-yardstick";

/// How many connections our server and the yardstick may use.
pub const POOL_SIZE: u64 = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Echo,
    Yardstick,
    Ours,
}

impl Server {
    pub const ALL: [Server; 3] = [Server::Echo, Server::Yardstick, Server::Ours];

    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Yardstick => "yardstick",
            Self::Ours => "ours",
        }
    }

    /// Whether it can answer the case. The echo has no rows.
    pub fn supports(self, case: &Case) -> bool {
        self != Self::Echo || case.name == "select 1"
    }
}

/// The folder in which the servers are started, and the address of the database.
pub struct Workspace {
    folder: TempDir,
    url: String,
}

impl Workspace {
    pub fn new(url: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), format!("DATABASE_URL={url}{SETTINGS}")).unwrap();
        Self { folder, url }
    }

    /// Starts a server.
    pub fn start(&self, server: Server) -> Host {
        let mut this_program = Command::new(std::env::current_exe().unwrap());
        let mut command = match server {
            Server::Echo => {
                this_program.arg(SERVE_ECHO);
                this_program
            }
            Server::Yardstick => {
                this_program.args([SERVE_YARDSTICK, &self.url]);
                this_program
            }
            Server::Ours => our_server(self.folder.path()),
        };
        Host::start(&mut command, &self.log(server))
    }

    fn log(&self, server: Server) -> PathBuf {
        self.folder.path().join(format!("{}.log", server.name()))
    }

    /// The lines of our server's log that are warnings or errors.
    pub fn logged_problems(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log(Server::Ours)).unwrap_or_default();
        let is_bad = |line: &&str| ["WARN", "ERRO", "CRIT"].iter().any(|level| line.contains(level));
        log.lines().filter(is_bad).map(str::to_owned).collect()
    }

    pub fn program_bytes(&self) -> u64 {
        fs::metadata(our_server(self.folder.path()).get_program()).unwrap().len()
    }
}
