//! The daemon's process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use mcp_server_postgres::http::token::{NewToken, make};
use pg_private::PrivateCluster;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Peer;
use crate::common::{PATIENCE, until};

pub struct Daemon {
    child: Child,
    pub address: String,
    folder: TempDir,
}

impl Daemon {
    /// Start it on that cluster, with these further lines in its `.env`, and wait until it listens.
    pub async fn on(cluster: &PrivateCluster, env: &str) -> Self {
        Self::with(cluster, env, &[], &[]).await
    }

    /// The same with files in its folder (`config.toml` is its TOML file), and variables in its environment.
    pub async fn with(
        cluster: &PrivateCluster,
        env: &str,
        files: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let env = format!(
            "DATABASE_URL={}\nMCP_HTTP_ADDR=127.0.0.1:0\nMCP_ROLE_CHECK=off\nMCP_RELOAD_DEBOUNCE_MS=20\n{env}",
            cluster.url()
        );
        fs::write(folder.path().join(".env"), env).unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
        let mut command = command(folder.path());
        if files.iter().any(|(name, _)| *name == "config.toml") {
            command.args(["--config", "config.toml"]);
        }
        let child = command.envs(environment.iter().copied()).spawn().unwrap();
        let mut daemon = Self { child, address: String::new(), folder };
        until("it listens", async || !daemon.log_of("listening").is_empty()).await;
        let url = daemon.log_of("listening")[0]["context"]["url"].as_str().unwrap().to_owned();
        daemon.address = url.split_once("//").unwrap().1.to_owned();
        daemon
    }

    pub async fn peer(&self) -> Peer {
        Peer::connect(&self.address).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        // As an editor does it: the file is never there in part.
        let path = self.folder.path().join(format!("{name}.new"));
        fs::write(&path, text).unwrap();
        fs::rename(path, self.folder.path().join(name)).unwrap();
    }

    /// Change its `.env`.
    pub fn change_env(&self, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.folder.path().join(".env")).unwrap();
        self.write(".env", &change(text));
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// How it ends, by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it does not end").unwrap()
    }

    /// What it has logged with that message, an object a line.
    pub fn log_of(&self, message: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    pub async fn until_logged(&self, message: &str, times: usize) {
        until(&format!("{message} is logged"), async || self.log_of(message).len() >= times).await;
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }
}

/// The program, in a folder of its own and with nothing of this process's environment.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"));
    command
        .args(["serve", "--env-file", ".env"])
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(stderr_of(folder)).unwrap())
        .kill_on_drop(true);
    command
}

fn stderr_of(folder: &Path) -> PathBuf {
    folder.join("stderr")
}

/// A new token, and its table.
pub fn token(name: &str, mode: &str, is_operator: bool) -> NewToken {
    make(name, mode, &["main"], is_operator).unwrap()
}
