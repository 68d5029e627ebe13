//! Compares HTTP with stdio at 1, 8 and 64 clients: calls a second, their times, processor time. Then the memory of a thousand
//! idle clients. On a private PostgreSQL, all in one run.
//!
//! A client over HTTP is a thread with its own connection; a client over stdio is one call in flight of one host. The work of
//! the clients is part of the figures, and there is more of it over HTTP. Only ratios within one run mean anything.
//! `cargo bench --bench http -- memory` measures only the memory.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on ends")]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod common;
#[path = "../soak/http.rs"]
#[allow(dead_code, reason = "the soak uses the rest")]
mod http;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use common::report::{Table, grouped, heading, percentile, time};
use common::{Host, our_server, processor_time, status_kib};
use http::Connection;
use pg_private::Options;
use serde_json::{Value, json};

const TABLE: &str = "CREATE TABLE item AS SELECT id, 'name ' || id AS name, id * 1.37 AS amount, \
                     timestamptz '2024-01-01Z' + id * interval '1 s' AS made FROM generate_series(1, 10000) AS id; \
                     ALTER TABLE item ADD PRIMARY KEY (id); ANALYZE item";

/// The numbers of clients.
const CLIENTS: [usize; 3] = [1, 8, 64];

/// How long each transport is measured in a round.
const ROUND: Duration = Duration::from_millis(700);
const ROUNDS: usize = 3;

const IDLE_CLIENTS: usize = 1000;

/// The most memory of an idle client.
const IDLE_KIB_MAX: f64 = 20.0;

/// The same for a client with a standing stream, for which hyper keeps its buffers.
const STREAM_KIB_MAX: f64 = 40.0;

struct Case {
    name: &'static str,
    arguments: Value,
}

#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Stdio,
    /// HTTP without sessions: the protocol's revision 2026-07-28.
    Http,
    /// HTTP with a session: revision 2025-11-25.
    Session,
}

impl Transport {
    const ALL: [Transport; 3] = [Transport::Stdio, Transport::Http, Transport::Session];

    fn name(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
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

/// Calls a second, the times of calls, and processor time.
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
        heading(
            &format!("{} over stdio and over HTTP", case.name),
            &format!("{ROUNDS} rounds, in each of which every transport is measured for {} ms.", ROUND.as_millis()),
        );
        let mut table = Table::new([
            "transport",
            "clients",
            "calls a second",
            "× stdio",
            "median",
            "p99",
            "processor time of a call",
        ]);
        for clients in CLIENTS {
            let mut runs = Transport::ALL.map(|_| Vec::new());
            let mut used = Transport::ALL.map(|_| Duration::ZERO);
            for _ in 0..ROUNDS {
                for (at, transport) in Transport::ALL.into_iter().enumerate() {
                    let pid = if transport == Transport::Stdio { host.pid() } else { daemon.0.id() };
                    let before = processor_time(pid);
                    runs[at].extend(match transport {
                        Transport::Stdio => over_stdio(&mut host, case, clients),
                        _ => over_http(address, case, clients, transport),
                    });
                    used[at] +=
                        processor_time(pid).zip(before).map_or(Duration::ZERO, |(after, before)| after - before);
                }
            }
            let rate = |times: &[Duration]| times.len() as f64 / (ROUND * ROUNDS as u32).as_secs_f64();
            let stdio = rate(&runs[0]);
            for (at, transport) in Transport::ALL.into_iter().enumerate() {
                let times = &mut runs[at];
                times.sort_unstable();
                table.row([
                    transport.name().to_owned(),
                    clients.to_string(),
                    grouped(rate(times)),
                    format!("{:.2}", rate(times) / stdio),
                    time(percentile(times, 50)),
                    time(percentile(times, 99)),
                    time(used[at] / times.len() as u32),
                ]);
            }
        }
        table.print();
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

    /// The resident memory once it no longer shrinks: some memory is freed only after a time without requests.
    fn resting_kib(&self) -> f64 {
        let mut least = f64::INFINITY;
        loop {
            thread::sleep(Duration::from_secs(2));
            let now = self.resident_kib();
            if now >= least {
                return now;
            }
            least = now;
        }
    }

    fn resident_kib(&self) -> f64 {
        status_kib(self.0.id(), "VmRSS").map_or(f64::NAN, |kib| kib as f64)
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

/// Makes calls for one round, of which `in_flight` are always in flight. Returns the time of each.
fn over_stdio(host: &mut Host, case: &Case, in_flight: usize) -> Vec<Duration> {
    use std::io::Write as _;
    let mut begun = std::collections::HashMap::new();
    let mut times = Vec::new();
    let ends = Instant::now() + ROUND;
    let mut running = in_flight;
    let send = |host: &mut Host, begun: &mut std::collections::HashMap<u64, Instant>| {
        host.requests += 1;
        begun.insert(host.requests, Instant::now());
        host.input.write_all(format!("{}\n", call(host.requests, &case.arguments, None)).as_bytes()).unwrap();
    };
    for _ in 0..in_flight {
        send(host, &mut begun);
    }
    while running > 0 {
        host.read_line();
        let answer = &host.line;
        let id = answer[br#"{"jsonrpc":"2.0","id":"#.len()..].split(|byte| !byte.is_ascii_digit()).next().unwrap();
        let id: u64 = std::str::from_utf8(id).unwrap().parse().unwrap();
        times.push(begun.remove(&id).unwrap().elapsed());
        if Instant::now() < ends {
            send(host, &mut begun);
        } else {
            running -= 1;
        }
    }
    times
}

/// A client over HTTP.
struct Client {
    connection: Connection,
    session: Option<String>,
    id: u64,
}

impl Client {
    fn open(address: &str, transport: Transport) -> Self {
        let mut this = Self { connection: Connection::open(address, "").unwrap(), session: None, id: 0 };
        if transport == Transport::Session {
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

    /// Opens the stream of the session on a connection of its own.
    fn open_stream(&self, address: &str) -> Connection {
        let mut stream = Connection::open(address, "").unwrap();
        let session = self.session.clone().unwrap_or_default();
        let headers = [("accept", "text/event-stream"), ("mcp-session-id", session.as_str())];
        stream.send("GET", "/mcp", &headers, "").unwrap();
        stream
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

fn over_http(address: &str, case: &Case, clients: usize, transport: Transport) -> Vec<Duration> {
    let clients: Vec<Client> = (0..clients).map(|_| Client::open(address, transport)).collect();
    let ends = Instant::now() + ROUND;
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

/// How much a new daemon grows by clients that make one call and then keep their connections open.
fn memory(folder: &Path, address: &str) {
    heading(
        &format!("Memory of {} idle clients", grouped(IDLE_CLIENTS as f64)),
        "Each has made one call and keeps its connections open. What the daemon itself needs is subtracted.",
    );
    let mut table = Table::new(["client", "KiB of each", "at most", "outcome"]);
    let case = Case { name: "select 1", arguments: json!({"query": "select 1"}) };
    for (transport, has_stream) in [(Transport::Http, false), (Transport::Session, false), (Transport::Session, true)] {
        let daemon = Daemon::start(folder, address);
        // Whatever the daemon allocates only once is allocated by these.
        for _ in 0..50 {
            Client::open(address, transport).call(&case);
        }
        let before = daemon.resting_kib();
        let clients: Vec<(Client, Option<Connection>)> = (0..IDLE_CLIENTS)
            .map(|_| {
                let mut client = Client::open(address, transport);
                client.call(&case);
                let stream = has_stream.then(|| client.open_stream(address));
                (client, stream)
            })
            .collect();
        let each = (daemon.resting_kib() - before) / IDLE_CLIENTS as f64;
        let (what, most) = match has_stream {
            true => ("http, session and standing stream", STREAM_KIB_MAX),
            false => (transport.name(), IDLE_KIB_MAX),
        };
        let outcome =
            if each <= most { "reached".to_owned() } else { format!("missed by {:.0} %", (each / most - 1.0) * 100.0) };
        table.row([what.to_owned(), format!("{each:.1}"), format!("{most:.0}"), outcome]);
        drop(clients);
    }
    table.print();
}
