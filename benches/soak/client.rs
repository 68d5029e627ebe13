//! One client: its calls, and what their answers must be.

use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};

use crate::http::{Connection, Response};

/// Runs until it is cancelled.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// The longest pause between two calls.
const PAUSE_MS_MAX: u64 = 40;

/// The outcomes of a client's calls.
#[derive(Default)]
pub struct Tally {
    pub answered: u64,
    /// Failed with an error that says so, because a backend was terminated or a cursor was closed in favour of another.
    pub disturbed: u64,
    /// Cancelled by the client, and rightly not answered.
    pub cancelled: u64,
    /// Descriptions of what is wrong.
    pub wrong: Vec<String>,
}

pub struct Client {
    number: u64,
    address: String,
    token: String,
    /// Whether it uses an older revision of the protocol, which has sessions.
    is_older: bool,
    session: Option<String>,
    connection: Connection,
    /// The standing stream of the session. Some clients have one.
    _stream: Option<Connection>,
    random: Rng,
    id: u64,
    pub tally: Tally,
}

/// What an answer must be.
enum Expected<'a> {
    /// The first row begins with this text, and there are so many rows.
    Rows(&'a str, u64),
    /// A failure whose text contains this.
    Failure(&'a str),
}

impl Client {
    pub fn start(number: u64, address: &str, token: &str, seed: u64) -> io::Result<Self> {
        let mut this = Self {
            number,
            address: address.to_owned(),
            token: token.to_owned(),
            is_older: number % 2 == 1,
            session: None,
            connection: Connection::open(address, token)?,
            _stream: None,
            random: Rng::with_seed(seed ^ (number << 32)),
            id: 0,
            tally: Tally::default(),
        };
        this.open_session()?;
        Ok(this)
    }

    pub fn run(mut self, until: Instant) -> Tally {
        while Instant::now() < until && self.tally.wrong.len() < 3 {
            if let Err(error) = self.step() {
                self.tally.wrong.push(format!("client {}: {error}", self.number));
                match Connection::open(&self.address, &self.token) {
                    Ok(connection) => self.connection = connection,
                    Err(_) => break,
                }
            }
            std::thread::sleep(Duration::from_millis(self.random.u64(0..=PAUSE_MS_MAX)));
        }
        self.tally
    }

    fn step(&mut self) -> io::Result<()> {
        let marker = format!("{}-{}", self.number, self.random.u64(..));
        match self.random.u32(0..100) {
            0..50 => {
                let arguments = json!({"query": "select $1::text", "parameters": [marker]});
                self.call("async_query_execute", arguments, &Expected::Rows(&marker, 1))
            }
            50..65 => {
                let sql = "select $1::text, n from generate_series(1, 1000) n";
                let arguments = json!({"query": sql, "parameters": [marker], "max_bytes": 200_000});
                self.call("async_query_execute", arguments, &Expected::Rows(&marker, 1000))
            }
            65..75 => {
                let each = json!({"query": "select $1::text", "parameters": [marker]});
                self.call("batch_query_execute", json!({"queries": [each, each, each]}), &Expected::Rows(&marker, 1))
            }
            75..80 => self.fetch_next_page(&marker),
            80..85 => {
                let arguments = json!({"query": "select 1 / 0"});
                self.call("async_query_execute", arguments, &Expected::Failure("22012"))
            }
            85..90 => {
                let arguments = json!({"query": ENDLESS, "timeout_ms": 30});
                self.call("async_query_execute", arguments, &Expected::Failure("timeout_ms"))
            }
            90..95 => self.cancel_call(false),
            95..97 if self.is_older => self.cancel_call(true),
            95..98 => {
                self.connection = Connection::open(&self.address, &self.token)?;
                Ok(())
            }
            98 if self.is_older => {
                self.close_session()?;
                self.open_session()
            }
            _ => {
                let response = self.ask("tools/list", json!({}), None)?;
                let names = response.message().map(|message| message["result"]["tools"].as_array().map_or(0, Vec::len));
                self.judge(names == Some(5), || format!("tools/list: {}", response.body))
            }
        }
    }

    /// Asks for a page and for the next one.
    fn fetch_next_page(&mut self, marker: &str) -> io::Result<()> {
        let sql = "select $1::text, n from generate_series(1, 300) n";
        let arguments = json!({"query": sql, "parameters": [marker], "max_rows": 100});
        let response = self.ask("tools/call", json!({"name": "async_query_execute", "arguments": arguments}), None)?;
        let cursor = response.message().map(|message| message["result"]["structuredContent"]["cursor"].clone());
        match cursor {
            Some(Value::String(cursor)) => {
                self.tally.answered += 1;
                self.call("fetch_rows", json!({ "cursor": cursor }), &Expected::Rows(marker, 200))
            }
            // No cursor: each of the cursors that are allowed is in use.
            Some(Value::Null) => self.check(&response, &Expected::Rows(marker, 100)),
            _ => self.judge(false, || format!("no cursor: {}", response.body)),
        }
    }

    /// Begins a statement without end, then closes the connection or sends a notification that cancels it.
    fn cancel_call(&mut self, by_notification: bool) -> io::Result<()> {
        let arguments = json!({"query": ENDLESS});
        self.say("tools/call", json!({"name": "async_query_execute", "arguments": arguments}), None)?;
        std::thread::sleep(Duration::from_millis(self.random.u64(1..30)));
        let mut cancelled_call = std::mem::replace(&mut self.connection, Connection::open(&self.address, &self.token)?);
        self.tally.cancelled += 1;
        if by_notification {
            let cancelled =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": self.id}});
            let response = self.post(&cancelled, "notifications/cancelled", None)?;
            self.judge(response.status == 202, || format!("a cancellation: {}", response.body))?;
            let answer = cancelled_call.receive()?;
            return self.judge(answer.message().is_none(), || format!("a cancelled call is answered: {}", answer.body));
        }
        Ok(())
    }

    fn call(&mut self, tool: &str, arguments: Value, expected: &Expected<'_>) -> io::Result<()> {
        let response = self.ask("tools/call", json!({"name": tool, "arguments": arguments}), Some(tool))?;
        self.check(&response, expected)
    }

    fn check(&mut self, response: &Response, expected: &Expected<'_>) -> io::Result<()> {
        let message = response.message().unwrap_or_default();
        let result = &message["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let is_error = result["isError"] == true;
        let is_own = message["id"] == self.id && response.status == 200;
        let is_right = is_own
            && match expected {
                Expected::Rows(marker, count) => {
                    let structured = &result["structuredContent"];
                    let page = if structured["results"].is_array() { &structured["results"][2] } else { structured };
                    !is_error && page["row_count"] == *count && page["rows"][0][0] == *marker
                }
                Expected::Failure(says) => is_error && text.contains(says),
            };
        let is_disturbance = ["The database is not available", "57P01", "This cursor was closed"];
        if is_own && is_error && !is_right && is_disturbance.iter().any(|says| text.contains(says)) {
            self.tally.disturbed += 1;
            return Ok(());
        }
        self.judge(is_right, || response.body.clone())
    }

    fn judge(&mut self, is_right: bool, what: impl FnOnce() -> String) -> io::Result<()> {
        if is_right {
            self.tally.answered += 1;
        } else {
            let what: String = what().chars().take(600).collect();
            self.tally.wrong.push(format!("client {}, call {}: {what}", self.number, self.id));
        }
        Ok(())
    }

    fn ask(&mut self, method: &str, params: Value, name: Option<&str>) -> io::Result<Response> {
        self.say(method, params, name)?;
        self.connection.receive()
    }

    fn say(&mut self, method: &str, mut params: Value, name: Option<&str>) -> io::Result<()> {
        self.id += 1;
        if !self.is_older {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let name = name.map(str::to_owned).or_else(|| params["name"].as_str().map(str::to_owned));
        let message = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        self.write(&message, method, name.as_deref())
    }

    fn post(&mut self, message: &Value, method: &str, name: Option<&str>) -> io::Result<Response> {
        self.write(message, method, name)?;
        self.connection.receive()
    }

    fn write(&mut self, message: &Value, method: &str, name: Option<&str>) -> io::Result<()> {
        let mut headers = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        let session = self.session.clone();
        match &session {
            Some(session) => {
                headers.extend([("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")])
            }
            None if self.is_older => {}
            None => headers.extend([("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)]),
        }
        if let Some(name) = name.filter(|_| !self.is_older) {
            headers.push(("mcp-name", name));
        }
        self.connection.send("POST", "/mcp", &headers, &message.to_string())
    }

    fn open_session(&mut self) -> io::Result<()> {
        if !self.is_older {
            return Ok(());
        }
        let info = json!({"name": "soak", "version": "1"});
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info});
        let response = self.ask("initialize", hello, None)?;
        self.session = Some(response.session.ok_or_else(|| io::Error::other(response.body))?);
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.post(&ready, "notifications/initialized", None)?;
        if self.number % 4 == 1 {
            let mut stream = Connection::open(&self.address, &self.token)?;
            let session = self.session.clone().unwrap_or_default();
            let headers = [("accept", "text/event-stream"), ("mcp-session-id", session.as_str())];
            stream.send("GET", "/mcp", &headers, "")?;
            self._stream = Some(stream);
        }
        Ok(())
    }

    fn close_session(&mut self) -> io::Result<()> {
        let session = self.session.take().unwrap_or_default();
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
        self.connection.send("DELETE", "/mcp", &headers, "")?;
        let response = self.connection.receive()?;
        self._stream = None;
        self.judge(response.status < 300, || format!("a session is not closed: {}", response.body))
    }
}
