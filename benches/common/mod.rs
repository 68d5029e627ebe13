//! What several benches need: a server as the process of its host, with requests and answers over pipes; its memory and
//! its processor time; and the report.

pub mod report;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// The capacity of a pipe on Linux: one read returns at most so many bytes.
const PIPE_BYTES: usize = 65_536;

/// The server's process, killed when this value is dropped.
pub struct Host {
    server: Child,
    pub input: ChildStdin,
    pub output: BufReader<ChildStdout>,
    /// The last answer with its newline.
    pub line: Vec<u8>,
    /// The id of the last request. The first is 1.
    pub requests: u64,
}

impl Host {
    /// Starts a server whose stderr goes to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(log).unwrap());
        let mut server = command.spawn().unwrap();
        let input = server.stdin.take().unwrap();
        let output = BufReader::with_capacity(PIPE_BYTES, server.stdout.take().unwrap());
        Self { server, input, output, line: Vec::new(), requests: 0 }
    }

    pub fn initialize(&mut self) {
        let client = json!({"name": "bench", "version": "1"});
        self.ask("initialize", &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}));
        self.input.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n").unwrap();
    }

    /// Sends a request and returns the result.
    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.send(method, params);
        self.read_line();
        let mut answer: Value = serde_json::from_slice(&self.line).unwrap();
        answer["result"].take()
    }

    /// Sends a request and does not wait for the answer.
    pub fn send(&mut self, method: &str, params: &Value) {
        self.requests += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.requests, "method": method, "params": params});
        self.input.write_all(format!("{request}\n").as_bytes()).unwrap();
    }

    pub fn read_line(&mut self) {
        self.line.clear();
        assert!(self.output.read_until(b'\n', &mut self.line).unwrap() > 0, "the server has ended");
    }

    pub fn status_kib(&self, name: &str) -> Option<u64> {
        status_kib(self.pid(), name)
    }

    pub fn pid(&self) -> u32 {
        self.server.id()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The program that is measured, with the `.env` of this folder, which it names, and without environment variables.
pub fn our_server(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-server-postgres"));
    command.args(["--env-file", ".env"]).current_dir(folder).env_clear();
    command
}

/// The unit of `utime` and `stime`: 1 / `USER_HZ`, which is 100 on every kernel (proc(5), times(2)).
const TICK: Duration = Duration::from_millis(10);

/// A size from `/proc/PID/status` (proc(5)); `None` on a system without it.
pub fn status_kib(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// User and system time of all threads of a process (proc(5)); `None` on a system without `/proc`.
pub fn processor_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name of the program, may contain blanks and ends at the last bracket. utime is the 14th.
    let mut ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (ticks.next()?.parse().ok()?, ticks.next()?.parse().ok()?);
    Some(TICK * (user + system))
}
