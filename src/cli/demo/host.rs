//! A small host: it starts this program and exchanges lines of JSON-RPC with it. It blocks, has one client, and ignores
//! what it does not know, such as notifications.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How long to wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The revision of the protocol that most hosts still ask for.
const PROTOCOL: &str = "2025-11-25";

/// A running server and its pipes. The drop kills the server.
pub(super) struct Host {
    server: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    requests: u64,
}

impl Host {
    /// Starts the server in `folder`, which contains its `.env`.
    pub(super) fn start(folder: &Path) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("the server cannot be started: {error}");
        let log = std::fs::File::create(folder.join("log")).map_err(cannot)?;
        let mut server = Command::new(std::env::current_exe().map_err(cannot)?)
            .current_dir(folder)
            .args(["--env-file", ".env"])
            // The environment of the user may name another database.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(cannot)?;
        let input = server.stdin.take();
        let output = server.stdout.take().ok_or("the server has no stdout")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        Ok(Self { server, input, lines, requests: 0 })
    }

    /// Sends `initialize` and returns its result.
    pub(super) fn initialize(&mut self) -> Result<Value, String> {
        let client = json!({"name": "demo", "version": env!("CARGO_PKG_VERSION")});
        let hello = json!({"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client});
        let server = self.request("initialize", &hello)?;
        self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(server)
    }

    /// Calls a tool and returns its result.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value, String> {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Sends a request and waits for its result. No other request may be in flight.
    pub(super) fn request(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.send(method, params)?;
        self.next_answer()
    }

    /// Sends a request without waiting for its result.
    pub(super) fn send(&mut self, method: &str, params: &Value) -> Result<(), String> {
        self.requests += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": self.requests, "method": method, "params": params}))
    }

    /// The next result, of any request.
    pub(super) fn next_answer(&mut self) -> Result<Value, String> {
        loop {
            let line = self.lines.recv_timeout(ANSWER_MAX).map_err(|error| match error {
                RecvTimeoutError::Timeout => "the server does not answer".to_owned(),
                RecvTimeoutError::Disconnected => "the server has ended".to_owned(),
            })?;
            let mut message: Value =
                serde_json::from_str(&line).map_err(|error| format!("no JSON from the server: {error}: {line}"))?;
            if message.get("error").is_some() {
                return Err(format!("the server refused a request: {}", message["error"]));
            }
            if message.get("result").is_some() {
                return Ok(message["result"].take());
            }
        }
    }

    /// Closes the input of the server, as a host does when it ends. The server must then end with status 0.
    pub(super) fn end(mut self) -> Result<(), String> {
        self.input = None;
        let status = self.server.wait().map_err(|error| format!("the server's end was missed: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}")) }
    }

    fn write(&mut self, message: &Value) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("the server's input is closed")?;
        writeln!(input, "{message}").map_err(|error| format!("the server does not read: {error}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Either the server has ended already, or the demonstration has failed and reports that.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
