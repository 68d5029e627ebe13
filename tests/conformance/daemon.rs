//! A daemon on a port of its own, for as long as it is asked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(30);

/// How often it is looked for the port.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The process. Dropped, it is killed.
pub struct Daemon {
    child: Child,
    url: String,
}

impl Daemon {
    /// Start `program` with `argument` on that database, with its log in `folder`, and wait until it listens.
    pub fn start(program: &Path, argument: &str, database: &str, folder: &Path) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let log = folder.join(format!("{argument}.log"));
        let stderr = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let child = Command::new(program)
            .arg(argument)
            .env_clear()
            .env("DATABASE_URL", database)
            .env("MCP_HTTP_ADDR", "127.0.0.1:0")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut daemon = Self { child, url: String::new() };
        daemon.url = daemon.listening(&log)?;
        Ok(daemon)
    }

    /// Where it speaks MCP.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn listening(&mut self, log: &PathBuf) -> Result<String, String> {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(log).map_err(|error| error.to_string())?;
            let mut events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(event) = events.find(|event| event["message"] == "listening") {
                return Ok(format!("{}/mcp", event["context"]["url"].as_str().unwrap_or_default()));
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the daemon ended with {status}:\n{text}"));
            }
            if began.elapsed() > START_MAX {
                return Err(format!("the daemon does not listen:\n{text}"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
