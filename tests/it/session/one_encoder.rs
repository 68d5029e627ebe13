//! What a tool answers is the same to the byte, whichever way the call came: stdio, HTTP without a session and with one.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http_body_util::BodyExt as _;
use mcp_server_postgres::actors::clients::access::ClientAccess;
use mcp_server_postgres::actors::clients::client::Client;
use mcp_server_postgres::actors::clients::registry::{Admit, Rules};
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::http::auth::Auth;
use mcp_server_postgres::mcp::calls::Calls;
use mcp_server_postgres::mcp::http::admission::{Admission, session_owner};
use mcp_server_postgres::mcp::http::{Mcp, router, server};
use mcp_server_postgres::mcp::server::Server;
use mcp_server_postgres::mcp::sessions::Sessions;
use mcp_server_postgres::mcp::stdio::Stdio;
use mcp_server_postgres::messages::database::ClientDatabases;
use mcp_server_postgres::messages::metrics::{PerformanceSummary, SlowList};
use mcp_server_postgres::postgres::error::QueryError;
use mcp_server_postgres::postgres::statement::Outcome;
use mcp_server_postgres::tools::TOOLS;
use rmcp::ServiceExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use super::world::{BATCH, FETCH, QUERY, SLOW, SUMMARY, World, answered, page};
use crate::common::scripted::scripted;
use crate::common::{no_log, settings};

/// A client's three ways to its session.
struct Ways {
    world: World,
    to: DuplexStream,
    from: BufReader<DuplexStream>,
    router: Router,
    /// The headers of a session.
    session: Vec<(&'static str, String)>,
    _rules: watch::Sender<Rules>,
}

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Stdio,
    Http,
}

/// What a tool's neighbours answer.
#[derive(Debug, Clone, Copy)]
enum Case {
    Succeeds,
    /// A page too large to be put together with what is around it.
    IsLarge,
    Fails,
    HasWrongArguments,
    IsUnknown,
}

impl Ways {
    async fn new() -> Self {
        let settings = settings();
        let world = World::new(settings.clone());
        let caller = Caller::stdio();
        let access = ClientAccess::new(&caller, ClientDatabases::all(world._set.subscribe()));
        let session = world.session.clone().recipient();
        let token = CancellationToken::new;

        let ((to, input), (output, from)) = (duplex(1 << 20), duplex(8 << 20));
        let calls = Calls::new(session.clone());
        let transport = Stdio::new(input, output, calls.clone(), 1 << 20, token(), &no_log());
        let served = Server::new(calls, access.clone(), token(), token());
        tokio::spawn(async move { drop(served.serve(transport).await.unwrap().waiting().await) });

        let client = Arc::new(Client::new(caller, session, access, false, token(), Default::default()));
        let (admit, mut admits) = scripted::<Admit>();
        tokio::task::spawn_local(async move {
            loop {
                admits.next().await.answer(Some(client.clone()));
            }
        });
        let (rules, seen) = watch::channel(Rules { settings: Arc::new(settings), tls: None });
        let sessions = Arc::new(Sessions::new(std::time::Duration::from_secs(60)));
        let owners = sessions.clone();
        let owner = Box::new(move |headers: &_| session_owner(&owners, headers));
        let auth = Arc::new(Auth::new(admit, seen.clone(), owner, &no_log()));
        let admission = Admission::new(sessions.clone(), seen, &no_log());
        let stopping = token();
        let make = move |client: &Arc<Client>| server(client, &stopping);
        let router = router(auth, admission, Mcp::new(make, sessions, 1 << 20, token()).with_own_calls());
        let mut ways = Self { world, to, from: BufReader::new(from), router, session: Vec::new(), _rules: rules };

        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello});
        ways.say(&hello).await;
        assert!(ways.line().await.contains("2025-11-25"));
        let response = ways.router.clone().call(ways.request(&[], &hello)).await.unwrap();
        let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        response.into_body().collect().await.unwrap();
        ways.session = vec![("mcp-session-id", id), ("mcp-protocol-version", "2025-11-25".to_owned())];
        ways
    }

    async fn say(&mut self, message: &Value) {
        self.to.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).await.unwrap();
        line
    }

    fn request(&self, headers: &[(&'static str, String)], message: &Value) -> Request {
        let mut request = Request::builder().method("POST").uri("/mcp").header("host", "localhost");
        for (name, value) in [
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ]
        .iter()
        .chain(headers)
        {
            request = request.header(*name, value);
        }
        request.body(Body::from(message.to_string())).unwrap()
    }

    /// The message that answers such a call, as it came.
    async fn answer(&mut self, way: Way, is_newest: bool, tool: &str, case: Case) -> String {
        let mut params = json!({"name": tool, "arguments": arguments(tool, case)});
        let mut headers = self.session.clone();
        if is_newest {
            let revision = "2026-07-28";
            params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": revision, "io.modelcontextprotocol/clientCapabilities": {}});
            headers = vec![
                ("mcp-protocol-version", revision.to_owned()),
                ("mcp-method", "tools/call".to_owned()),
                ("mcp-name", tool.to_owned()),
            ];
        }
        let message = json!({"jsonrpc": "2.0", "id": "a \"call\"", "method": "tools/call", "params": params});
        match way {
            Way::Stdio => {
                self.say(&message).await;
                neighbour(&mut self.world, tool, case).await;
                self.line().await.trim_end().to_owned()
            }
            Way::Http => {
                let (mut router, request) = (self.router.clone(), self.request(&headers, &message));
                let asked = tokio::task::spawn_local(async move {
                    let response = router.call(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
                });
                neighbour(&mut self.world, tool, case).await;
                let body = asked.await.unwrap();
                match is_newest {
                    true => body,
                    false => body.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap().to_owned(),
                }
            }
        }
    }
}

fn arguments(tool: &str, case: Case) -> Value {
    match (tool, case) {
        (_, Case::HasWrongArguments) => json!({"nothing of this": 1}),
        (QUERY, _) => json!({"query": "select n from t", "format": "json"}),
        (FETCH, _) => json!({"cursor": "a cursor"}),
        (BATCH, _) => json!({"queries": [{"query": "select n from t"}, {"query": "select 'é\"\\n'"}]}),
        _ => json!({}),
    }
}

/// Answer what the tool asks its neighbours, if it does.
async fn neighbour(world: &mut World, tool: &str, case: Case) {
    let rows = match case {
        Case::IsLarge => (0..20_000).collect::<Vec<i32>>(),
        _ => vec![1, 2],
    };
    let error = || QueryError::refused("Not this \"one\".\n");
    let fails = matches!(case, Case::Fails);
    let outcome = || {
        let mut page = page(&rows, None);
        page.rows_in_text = Some(2);
        Outcome { page, rows_affected: None, ..Outcome::default() }
    };
    if matches!(case, Case::HasWrongArguments | Case::IsUnknown) {
        return;
    }
    match tool {
        QUERY => {
            let asked = world.queries.next().await;
            asked.answer(if fails { Err(error()) } else { Ok(answered(outcome())) });
        }
        FETCH => {
            let asked = world.fetches.next().await;
            asked.answer(if fails { Err(error()) } else { Ok(answered(outcome())) });
        }
        BATCH => {
            use mcp_server_postgres::messages::statements::BatchError;
            let asked = world.batches.next().await;
            let failed = Err(BatchError { statement: Some(2), error: error() });
            asked.answer(if fails { failed } else { Ok(answered(vec![outcome(), outcome()])) });
        }
        SUMMARY => {
            let asked = world.summaries.next().await;
            // Its actor is gone.
            if fails {
                return;
            }
            asked.answer(PerformanceSummary {
                since: std::time::UNIX_EPOCH,
                uptime: std::time::Duration::from_secs(9),
                total: 0,
                successful: 0,
                failed: 0,
                cancelled: 0,
                queries_per_minute: 0,
                history: 0,
                history_max: 9,
                times: None,
            });
        }
        SLOW => {
            let asked = world.slow_lists.next().await;
            if fails {
                return;
            }
            asked.answer(SlowList {
                threshold: std::time::Duration::from_secs(1),
                looked_at: 0,
                over: 0,
                queries: Vec::new(),
            });
        }
        _ => unreachable!("{tool}"),
    }
}

#[actix_rt::test]
async fn a_result_is_the_same_to_the_byte_over_stdio_and_over_http_with_a_session_and_without() {
    let mut ways = Ways::new().await;
    let cases = [Case::Succeeds, Case::IsLarge, Case::Fails, Case::HasWrongArguments];
    let calls = TOOLS.iter().flat_map(|tool| cases.map(|case| (tool.name, case)));
    for (tool, case) in calls.chain([("no_such_tool", Case::IsUnknown)]) {
        for is_newest in [true, false] {
            let stdio = ways.answer(Way::Stdio, is_newest, tool, case).await;
            let http = ways.answer(Way::Http, is_newest, tool, case).await;
            assert!(stdio == http, "{tool}, {case:?}, newest: {is_newest}\n{stdio:.2000}\n{http:.2000}");
            let answer: Value = serde_json::from_str(&http).unwrap();
            assert_eq!(answer["id"], "a \"call\"");
            match case {
                Case::IsUnknown => assert_eq!(answer["error"]["code"], -32602, "{http}"),
                _ => {
                    let is_error = !matches!(case, Case::Succeeds | Case::IsLarge);
                    assert_eq!(answer["result"]["isError"], is_error, "{tool}: {http:.2000}");
                    let result_type = answer["result"].get("resultType").and_then(Value::as_str);
                    assert_eq!(result_type, is_newest.then_some("complete"));
                }
            }
        }
    }
}
