//! The server's process, spoken to line by line: a host that can also say what no client library would.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use pg_private::PrivateCluster;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::common::{PATIENCE, until};

pub struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<Lines<BufReader<ChildStdout>>>,
    requests: u64,
    folder: TempDir,
}

impl Server {
    /// Start it in a folder of its own, with these lines in its `.env`.
    pub fn start(env: &str) -> Self {
        Self::start_with(env, None)
    }

    /// The same with this TOML file, if any.
    pub fn start_with(env: &str, toml: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), env).unwrap();
        let mut command = command(folder.path());
        if let Some(toml) = toml {
            std::fs::write(folder.path().join("config.toml"), toml).unwrap();
            command.args(["--config", "config.toml"]);
        }
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = child.stdout.take().map(|output| BufReader::new(output).lines());
        Self { child, input, output, requests: 0, folder }
    }

    /// The same on that cluster, with these further lines, and the older revisions' handshake made.
    pub async fn on(cluster: &PrivateCluster, env: &str) -> Self {
        let mut server = Self::start(&format!("DATABASE_URL={}\n{env}", cluster.url()));
        server.initialize("2025-11-25").await;
        server
    }

    pub async fn initialize(&mut self, revision: &str) -> Value {
        let client = json!({"name": "a test", "version": "1"});
        let hello = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client});
        let answer = self.ask("initialize", hello).await;
        self.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        answer
    }

    /// Write a line.
    pub async fn say(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line, which is JSON as every line has to be.
    pub async fn hear(&mut self) -> Value {
        let line = timeout(PATIENCE, self.output.as_mut().unwrap().next_line()).await.expect("no line came").unwrap();
        let line = line.expect("stdout has ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// What is still said until stdout ends.
    pub async fn hear_out(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        while let Some(line) = timeout(PATIENCE, self.output.as_mut().unwrap().next_line()).await.unwrap().unwrap() {
            heard.push(serde_json::from_str(&line).unwrap());
        }
        heard
    }

    /// Send a request and do not wait; its id.
    pub async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.requests += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.requests, "method": method, "params": params});
        self.say(&request.to_string()).await;
        self.requests
    }

    /// Send a call of a tool and do not wait; its id.
    pub async fn send_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.send("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// The answer to a request, with nothing else in flight.
    pub async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        let answer = self.hear().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// The result of a call.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await;
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }

    /// The result of a query.
    pub async fn query(&mut self, sql: &str) -> Value {
        self.call("async_query_execute", json!({"query": sql})).await
    }

    /// The rows of a query.
    pub async fn rows(&mut self, sql: &str) -> Value {
        let result = self.query(sql).await;
        assert_eq!(result["isError"], false, "{sql}: {result}");
        result["structuredContent"]["rows"].clone()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(status.success());
    }

    pub fn close_stdin(&mut self) {
        self.input = None;
    }

    pub fn close_stdout(&mut self) {
        self.output = None;
    }

    /// How it ends, by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it does not end").unwrap()
    }

    pub fn env_file(&self) -> PathBuf {
        self.folder.path().join(".env")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged so far, an object a line.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("stderr")).unwrap();
        // The last line may be half written.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        whole.lines().map(parse).collect()
    }

    /// The first logged event with this message, once it is there.
    pub async fn logged(&self, message: &str) -> Value {
        let find = || self.log().into_iter().find(|event| event["message"] == message);
        until(&format!("{message:?} is logged"), async || find().is_some()).await;
        find().unwrap()
    }
}

/// The program in `folder`, with an empty environment but for functions that keep a call under way, and its log in
/// `stderr` there.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"));
    command
        .args(["--env-file", ".env"])
        .current_dir(folder)
        .env_clear()
        .env("MCP_FUNCTIONS_ALLOW", "pg_sleep,pg_advisory_lock_shared")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.join("stderr")).unwrap())
        .kill_on_drop(true);
    command
}
