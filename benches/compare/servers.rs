//! The three processes that answer lines. Two of them are this program, run again with another first argument.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::cases::Case;
use crate::common::{Host, our_server};

/// Nothing of ours is to be cut, refused or timed out; all else is as it comes.
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
";

/// The first argument that makes this program the echo.
pub const SERVE_ECHO: &str = "--serve-echo";

/// The first argument that makes this program the yardstick; the second is the database's address.
pub const SERVE_YARDSTICK: &str = "--serve-yardstick";

/// How many connections a server may use: ours by its settings, the yardstick by itself.
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

    /// The echo has no rows.
    pub fn knows(self, case: &Case) -> bool {
        self != Self::Echo || case.name == "select 1"
    }
}

/// Where servers are started.
pub struct Place {
    folder: TempDir,
    url: String,
}

impl Place {
    pub fn new(url: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".env"), format!("DATABASE_URL={url}{SETTINGS}")).unwrap();
        Self { folder, url }
    }

    /// A server that has answered nothing yet.
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

    /// What of our own server's log was worse than usual.
    pub fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log(Server::Ours)).unwrap_or_default();
        let is_bad = |line: &&str| ["WARN", "ERRO", "CRIT"].iter().any(|level| line.contains(level));
        log.lines().filter(is_bad).map(str::to_owned).collect()
    }

    pub fn program_bytes(&self) -> u64 {
        fs::metadata(our_server(self.folder.path()).get_program()).unwrap().len()
    }
}
