//! The gate, by requests: what is let in, on whose behalf, and what is not. No process and no PostgreSQL: behind the
//! gate stands a protocol that says who has come.

mod bounds;
mod names;
mod paths;
mod seen;
mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::prelude::*;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};
use mcp_server_postgres::actors::clients::registry::ClientRegistry;
use mcp_server_postgres::http::Arrival;
use mcp_server_postgres::http::admin::{self, AdminState};
use mcp_server_postgres::http::auth::{Auth, AuthenticatedClient, Connection};
use mcp_server_postgres::http::token::{NewToken, make};
use mcp_server_postgres::mcp::http::admission::{Admission, session_owner};
use mcp_server_postgres::mcp::http::behind;
use mcp_server_postgres::mcp::sessions::Sessions;
use mcp_server_postgres::messages::admin::{CallsInFlight, CancelCall, DatabaseProbe, Status};
use mcp_server_postgres::messages::database::{Database, DatabaseSet, DatabaseSummary};
use mcp_server_postgres::messages::events::{Events, SettingsChanged};
use mcp_server_postgres::messages::metrics::{MetricsHandle, Scrape, Snapshot};
use mcp_server_postgres::settings::{AccessMode, Settings, Token};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use crate::common::scripted::{Script, scripted};
use crate::common::{no_log, settings_with};

/// Where the connections of the tests arrive.
const HERE: Arrival = Arrival::Tcp(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

/// A gate, with who is let in handed to the test.
struct World {
    router: Router,
    registry: Addr<ClientRegistry>,
    connection: Arc<Connection>,
    ending: CancellationToken,
    settings: Arc<Settings>,
    let_in: mpsc::UnboundedReceiver<AuthenticatedClient>,
    neighbours: Vec<Neighbour>,
    snapshots: Script<Snapshot>,
    scrapes: Script<Scrape>,
    set: watch::Sender<Arc<DatabaseSet>>,
    _shown: Vec<watch::Sender<DatabaseSummary>>,
}

/// A database that is watched over, played by the test.
struct Neighbour {
    statuses: Script<Status>,
    call_lists: Script<CallsInFlight>,
    cancels: Script<CancelCall>,
    /// Whoever watches over a database does not keep it.
    _keeps: (Recipient<Status>, Recipient<CallsInFlight>, Recipient<CancelCall>),
}

fn neighbour(name: &str) -> (DatabaseProbe, Neighbour) {
    let ((status, statuses), (calls, call_lists), (cancel, cancels)) = (scripted(), scripted(), scripted());
    let probe = DatabaseProbe {
        name: name.into(),
        status: status.downgrade(),
        calls: calls.downgrade(),
        cancel: cancel.downgrade(),
    };
    (probe, Neighbour { statuses, call_lists, cancels, _keeps: (status, calls, cancel) })
}

impl World {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_databases(&["main"], change)
    }

    fn with_databases(names: &[&str], change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings_with(change);
        for name in &names[1..] {
            let database = mcp_server_postgres::settings::DatabaseSettings {
                postgres: settings.postgres.clone(),
                access: AccessMode::ReadOnly,
            };
            settings.more_databases.insert((*name).to_owned(), database);
        }
        let (mut set, mut shown, mut neighbours) = (DatabaseSet::default(), Vec::new(), Vec::new());
        for &name in names {
            let (show, seen) = watch::channel(DatabaseSummary {
                access: settings.access,
                is_structured: settings.answers_are_structured(),
            });
            shown.push(show);
            let (query, fetch, batch, close_cursors) = (scripted().0, scripted().0, scripted().0, scripted().0);
            let database = Database {
                name: name.into(),
                query,
                fetch,
                batch,
                inspect: scripted().0,
                close_cursors,
                summary: seen,
            };
            set.served.push(Arc::new(database));
            let (probe, neighbour) = neighbour(name);
            set.probes.push(probe);
            neighbours.push(neighbour);
        }
        let set = watch::Sender::new(Arc::new(set));
        let metrics = MetricsHandle { summary: scripted().0, slow_queries: scripted().0 };
        let ending = CancellationToken::new();
        let registry =
            ClientRegistry::new(&settings, set.subscribe(), metrics, Events::default(), ending.clone(), &no_log())
                .unwrap();
        let (rules, here) = (registry.rules(), registry.count());
        let registry = registry.start();
        let sessions = Arc::new(Sessions::new(Duration::from_secs(60)));
        let of_session = {
            let sessions = sessions.clone();
            Box::new(move |headers: &_| session_owner(&sessions, headers))
        };
        let auth = Arc::new(Auth::new(registry.clone().recipient(), rules.clone(), of_session, &no_log()));
        let admission = Admission::new(sessions.clone(), rules, &no_log());
        let ((snapshot, snapshots), (scrape, scrapes)) = (scripted(), scripted());
        let seen = Arc::new(AdminState {
            databases: set.subscribe(),
            snapshot,
            scrape,
            sessions: Box::new(move || sessions.len()),
            clients: here,
            connections: TaskTracker::new(),
            recent_lines: Box::new(|| vec![json!({"message": "a line"})]),
            urls: vec!["http://127.0.0.1:8808".to_owned()],
            started: (SystemTime::now(), Instant::now()),
            auth: auth.clone(),
            log: no_log(),
        });
        let (tell, let_in) = mpsc::unbounded_channel();
        let protocol = behind(auth, admission, any(move |request| tells(request, tell.clone())));
        let router = mcp_server_postgres::http::paths::all(protocol, admin::router(seen));
        let connection = Arc::new(Connection::new(HERE));
        Self {
            router,
            registry,
            connection,
            ending,
            settings: Arc::new(settings),
            let_in,
            neighbours,
            snapshots,
            scrapes,
            set,
            _shown: shown,
        }
    }

    /// Another connection comes.
    fn connect(&mut self) {
        self.connection = Arc::new(Connection::new(HERE));
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
        let mut request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request.extensions_mut().insert(self.connection.clone());
        request
    }

    async fn answer(&self, request: Request) -> Answer {
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request to `/mcp` by a right name, and what becomes of it.
    async fn ask(&self, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("host", "localhost:8808")], headers].concat();
        self.answer(self.request("POST", "/mcp", &headers, "{}")).await
    }

    /// The operator's next settings.
    async fn change(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut new = (*self.settings).clone();
        change(&mut new);
        let (old, new) = (std::mem::replace(&mut self.settings, Arc::new(new.clone())), Arc::new(new));
        self.registry.send(SettingsChanged { old, new }).await.unwrap();
    }
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What a refusal says: the message of a JSON-RPC error for no known request.
    fn why(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let refusal: Value = serde_json::from_str(&self.body).unwrap();
        let code = if self.status.is_server_error() { -32603 } else { -32600 };
        let (version, id) = (&refusal["jsonrpc"], &refusal["id"]);
        assert_eq!((version, id, &refusal["error"]["code"]), (&json!("2.0"), &json!(null), &json!(code)), "{self:?}");
        refusal["error"]["message"].as_str().unwrap().to_owned()
    }
}

/// A protocol that says who has come, and tells the test.
async fn tells(request: Request, tell: mpsc::UnboundedSender<AuthenticatedClient>) -> Response {
    let client = request.extensions().get::<AuthenticatedClient>().unwrap().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let told = format!("{} sends {} bytes", client.caller.name, body.len());
    let _ = tell.send(client);
    told.into_response()
}

/// What a token lets in, with the token itself.
fn token(name: &str) -> (String, Token) {
    let NewToken { token, .. } = make(name, "read-only", &["main"], false).unwrap();
    let hashes = vec![Sha256::digest(&token).into()];
    let rights = Token { hashes, access: AccessMode::ReadOnly, databases: vec!["main".to_owned()], is_operator: false };
    (token, rights)
}

fn authorization(token: &str) -> String {
    format!("Bearer {token}")
}
