//! The daemon beside stdio: calls a second, how long they take, processor time, at 1, 8 and 64 clients; and the memory
//! of a thousand clients that do nothing. On a private PostgreSQL, the servers in turns, in one run.
//!
//! Each client over HTTP is a thread with a connection of its own, each over stdio a call in flight of one host: the
//! client's own work is in the figures, and more of it over HTTP. Only ratios of one run say anything.
//! `cargo bench --bench http -- memory` measures the memory alone.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "another bench uses all of it")]
mod common;
#[path = "../soak/http.rs"]
#[allow(dead_code, reason = "the soak looks into messages too")]
mod http;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use common::{Host, our_server, processor_time, say};
use http::Connection;
use mcp_server_postgres::demo::cluster::Options;
use serde_json::{Value, json};

const TABLE: &str = "CREATE TABLE item AS SELECT id, 'name ' || id AS name, id * 1.37 AS amount, \
                     timestamptz '2024-01-01Z' + id * interval '1 s' AS made FROM generate_series(1, 10000) AS id; \
                     ALTER TABLE item ADD PRIMARY KEY (id); ANALYZE item";

/// Clients at a time.
const CLIENTS: [usize; 3] = [1, 8, 64];

/// How long a turn of one server is, and how many each has.
const TURN: Duration = Duration::from_millis(700);
const TURNS: usize = 3;

/// Clients that do nothing.
const IDLE: usize = 1000;

/// The most that one of them may take, in KiB.
const IDLE_KIB_MAX: f64 = 20.0;

/// The same for one with a stream that stands, of which hyper keeps the buffers.
const STREAM_KIB_MAX: f64 = 40.0;

struct Case {
    name: &'static str,
    arguments: Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Stdio,
    /// Of 2026-07-28.
    Stateless,
    /// Of 2025-11-25.
    Session,
}

impl Way {
    const ALL: [Way; 3] = [Way::Stdio, Way::Stateless, Way::Session];

    fn name(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Stateless => "http",
            Self::Session => "http, session",
        }
    }
}

fn main() {
    let cluster = Options::new().setting("autovacuum", "off").start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&cluster.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(TABLE).await.unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let env = format!(
        "DATABASE_URL={}\nMCP_HTTP_ADDR={address}\nPOSTGRES_POOL_SIZE=8\nMCP_CLIENT_RATE=0\nMCP_ROLE_CHECK=off\n",
        cluster.url()
    );
    fs::write(folder.path().join(".env"), env).unwrap();
    if !std::env::args().any(|argument| argument == "memory") {
        calls(folder.path(), &address);
    }
    memory(folder.path(), &address);
}

/// How many calls a second there are, and what each takes.
fn calls(folder: &Path, address: &str) {
    let daemon = Daemon::start(folder, address);
    let mut host = Host::start(&mut our_server(folder), &folder.join("log"));
    host.initialize();
    let lookup = json!({"query": "select name, amount from item where id = $1", "parameters": [4711]});
    let cases = [
        Case { name: "select 1", arguments: json!({"query": "select 1"}) },
        Case { name: "lookup", arguments: lookup },
        Case { name: "100 rows", arguments: json!({"query": "select * from item order by id limit 100"}) },
    ];
    for case in &cases {
        say(&format!("\n{}", case.name));
        say("  clients  by              calls/s     × stdio        p50        p99  processor a call");
        for clients in CLIENTS {
            let mut runs = Way::ALL.map(|_| Vec::new());
            let mut used = Way::ALL.map(|_| Duration::ZERO);
            for _ in 0..TURNS {
                for (at, way) in Way::ALL.into_iter().enumerate() {
                    let pid = if way == Way::Stdio { host.pid() } else { daemon.0.id() };
                    let before = processor_time(pid);
                    runs[at].extend(match way {
                        Way::Stdio => over_stdio(&mut host, case, clients),
                        _ => over_http(address, case, clients, way),
                    });
                    used[at] +=
                        processor_time(pid).zip(before).map_or(Duration::ZERO, |(after, before)| after - before);
                }
            }
            let rate = |times: &[Duration]| times.len() as f64 / (TURN * TURNS as u32).as_secs_f64();
            let stdio = rate(&runs[0]);
            for (at, way) in Way::ALL.into_iter().enumerate() {
                let times = &mut runs[at];
                times.sort_unstable();
                let micros = |of_hundred: usize| times[times.len() * of_hundred / 100].as_secs_f64() * 1e6;
                say(&format!(
                    "  {clients:>7}  {:13} {:>9.0}  {:>10.2}  {:>6.0} µs  {:>6.0} µs  {:>13.1} µs",
                    way.name(),
                    rate(times),
                    rate(times) / stdio,
                    micros(50),
                    micros(99),
                    used[at].as_secs_f64() * 1e6 / times.len() as f64,
                ));
            }
        }
    }
}

struct Daemon(Child);

impl Daemon {
    fn start(folder: &Path, address: &str) -> Self {
        let mut command = our_server(folder);
        let daemon = Self(command.arg("serve").stderr(std::process::Stdio::null()).spawn().unwrap());
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the daemon does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        daemon
    }

    /// When nothing has happened for as long as it takes to let go what only requests need.
    fn resting_kib(&self) -> f64 {
        let mut known = f64::INFINITY;
        loop {
            thread::sleep(Duration::from_secs(2));
            let now = self.resident_kib();
            if now >= known {
                return now;
            }
            known = now;
        }
    }

    fn resident_kib(&self) -> f64 {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.0.id())).unwrap_or_default();
        statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).map_or(f64::NAN, |pages| pages * 4.0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn call(id: u64, arguments: &Value, meta: Option<Value>) -> String {
    let mut params = json!({"name": "async_query_execute", "arguments": arguments});
    if let Some(meta) = meta {
        params["_meta"] = meta;
    }
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

/// As many calls as come back within a turn, that many always in flight; how long each took.
fn over_stdio(host: &mut Host, case: &Case, in_flight: usize) -> Vec<Duration> {
    use std::io::Write as _;
    let mut begun = std::collections::HashMap::new();
    let mut times = Vec::new();
    let ends = Instant::now() + TURN;
    let mut left = in_flight;
    let send = |host: &mut Host, begun: &mut std::collections::HashMap<u64, Instant>| {
        host.requests += 1;
        begun.insert(host.requests, Instant::now());
        host.input.write_all(format!("{}\n", call(host.requests, &case.arguments, None)).as_bytes()).unwrap();
    };
    for _ in 0..in_flight {
        send(host, &mut begun);
    }
    while left > 0 {
        host.read_line();
        let answer = &host.line;
        let id = answer[br#"{"jsonrpc":"2.0","id":"#.len()..].split(|byte| !byte.is_ascii_digit()).next().unwrap();
        let id: u64 = std::str::from_utf8(id).unwrap().parse().unwrap();
        times.push(begun.remove(&id).unwrap().elapsed());
        if Instant::now() < ends {
            send(host, &mut begun);
        } else {
            left -= 1;
        }
    }
    times
}

/// One client over HTTP.
struct Client {
    connection: Connection,
    session: Option<String>,
    id: u64,
}

impl Client {
    fn open(address: &str, way: Way) -> Self {
        let mut this = Self { connection: Connection::open(address, "").unwrap(), session: None, id: 0 };
        if way == Way::Session {
            let info = json!({"name": "bench", "version": "1"});
            let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info});
            let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello});
            this.session = this.post(&hello.to_string(), "initialize").session;
            assert!(this.session.is_some());
            this.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "notifications/initialized");
        }
        this
    }

    fn call(&mut self, case: &Case) {
        self.id += 1;
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = call(self.id, &case.arguments, self.session.is_none().then_some(meta));
        let response = self.post(&body, "tools/call");
        assert!(response.status == 200 && response.body.contains("\"isError\":false"), "{}", response.body);
    }

    fn post(&mut self, body: &str, method: &str) -> http::Response {
        let mut headers = vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        match &self.session {
            Some(session) => {
                headers.extend([("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")])
            }
            None if method == "tools/call" => headers.extend([
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", method),
                ("mcp-name", "async_query_execute"),
            ]),
            None => {}
        }
        self.connection.send("POST", "/mcp", &headers, body).unwrap();
        self.connection.receive().unwrap()
    }
}

fn over_http(address: &str, case: &Case, clients: usize, way: Way) -> Vec<Duration> {
    let clients: Vec<Client> = (0..clients).map(|_| Client::open(address, way)).collect();
    let ends = Instant::now() + TURN;
    thread::scope(|scope| {
        let each = clients.into_iter().map(|mut client| {
            scope.spawn(move || {
                let mut times = Vec::new();
                while Instant::now() < ends {
                    let began = Instant::now();
                    client.call(case);
                    times.push(began.elapsed());
                }
                times
            })
        });
        let each: Vec<_> = each.collect();
        each.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// How much a fresh daemon grows by clients that have asked once and stay.
fn memory(folder: &Path, address: &str) {
    say(&format!("\nMemory of {IDLE} clients that have each made a call and stay, beyond the daemon's own"));
    let case = Case { name: "select 1", arguments: json!({"query": "select 1"}) };
    for (way, stands) in [(Way::Stateless, false), (Way::Session, false), (Way::Session, true)] {
        let daemon = Daemon::start(folder, address);
        // What is made once is there before.
        for _ in 0..50 {
            Client::open(address, way).call(&case);
        }
        let before = daemon.resting_kib();
        let clients: Vec<(Client, Option<Connection>)> = (0..IDLE)
            .map(|_| {
                let mut client = Client::open(address, way);
                client.call(&case);
                let standing = stands.then(|| {
                    let mut standing = Connection::open(address, "").unwrap();
                    let session = client.session.clone().unwrap_or_default();
                    let headers = [("accept", "text/event-stream"), ("mcp-session-id", session.as_str())];
                    standing.send("GET", "/mcp", &headers, "").unwrap();
                    standing
                });
                (client, standing)
            })
            .collect();
        let each = (daemon.resting_kib() - before) / IDLE as f64;
        let what = if stands { "http, session and its stream" } else { way.name() };
        let most = if stands { STREAM_KIB_MAX } else { IDLE_KIB_MAX };
        let outcome =
            if each <= most { "reached".to_owned() } else { format!("MISSED by {:.0} %", (each / most - 1.0) * 100.0) };
        say(&format!("  {what:30} {each:>6.1} KiB each  ≤ {most:.0}  {outcome}"));
        drop(clients);
    }
}
