//! Sessions of the revisions that have them, as rmcp's HTTP service asks for them: whose they are, what becomes of their
//! requests, and when they end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::{FutureExt, Stream, StreamExt};
use mcp_server_postgres::actors::clients::access::ClientAccess;
use mcp_server_postgres::actors::clients::client::Client;
use mcp_server_postgres::actors::session::Session;
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::mcp::sessions::{Sessions, SessionsOf};
use mcp_server_postgres::messages::database::{ClientDatabases, Database, DatabaseSet, DatabaseSummary};
use mcp_server_postgres::messages::events::Events;
use mcp_server_postgres::messages::metrics::MetricsHandle;
use mcp_server_postgres::settings::AccessMode;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientJsonRpcMessage, ContentBlock, ServerJsonRpcMessage,
};
use rmcp::service::RequestContext;
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use rmcp::transport::streamable_http_server::session::SessionManager;
use rmcp::{ErrorData, RoleServer, ServerHandler, serve_server};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::common::databases::set_of;
use crate::common::scripted::scripted;
use crate::common::{no_log, settings};

const IDLE: Duration = Duration::from_secs(60);

/// What answers: a tool that waits for the test, one that asks the client, and one that is quick.
#[derive(Clone)]
struct Tools {
    begun: mpsc::UnboundedSender<CancellationToken>,
}

#[allow(deprecated, reason = "roots are, and are the simplest thing that a client can be asked")]
impl ServerHandler for Tools {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let said = match &*request.name {
            "waits" => {
                self.begun.send(context.ct.clone()).unwrap();
                context.ct.cancelled().await;
                return Err(ErrorData::internal_error("cancelled", None));
            }
            "asks" => context.peer.list_roots().await.unwrap().roots[0].uri.clone(),
            name => name.to_owned(),
        };
        Ok(CallToolResponse::Complete(CallToolResult::success(vec![ContentBlock::text(said)])))
    }
}

type Serve = Box<dyn Fn(&Arc<Client>) -> Tools + Send + Sync>;

struct World {
    sessions: Arc<Sessions>,
    begun: mpsc::UnboundedReceiver<CancellationToken>,
    tell: mpsc::UnboundedSender<CancellationToken>,
    show: watch::Sender<DatabaseSummary>,
    set: watch::Sender<Arc<DatabaseSet>>,
}

impl World {
    fn new() -> Self {
        let (tell, begun) = mpsc::unbounded_channel();
        let (show, summary) = watch::channel(DatabaseSummary { access: AccessMode::ReadOnly, is_structured: true });
        let (query, fetch, batch, close_cursors) = (scripted().0, scripted().0, scripted().0, scripted().0);
        let database =
            Database { name: "main".into(), query, fetch, batch, inspect: scripted().0, close_cursors, summary };
        let sessions = Arc::new(Sessions::new(IDLE));
        actix_rt::spawn(Sessions::end_idle(Arc::downgrade(&sessions)));
        Self { sessions, begun, tell, show, set: set_of([database]) }
    }

    fn client(&self) -> Arc<Client> {
        let caller = Caller::stdio();
        let databases = ClientDatabases::all(self.set.subscribe());
        let offer = ClientAccess::new(&caller, databases.clone());
        let metrics = MetricsHandle { summary: scripted().0, slow_queries: scripted().0 };
        let session = Session::new(&settings(), caller.clone(), databases, metrics, Events::default(), &no_log())
            .start()
            .recipient();
        Arc::new(Client::new(caller, session, offer, false, CancellationToken::new(), Default::default()))
    }

    /// As it is made for each request.
    fn of(&self, client: &Arc<Client>) -> SessionsOf<Serve> {
        let begun = self.tell.clone();
        let serve: Serve = Box::new(move |_| Tools { begun: begun.clone() });
        SessionsOf::new(self.sessions.clone(), client.clone(), serve)
    }

    /// As rmcp opens a session.
    async fn open(&self, client: &Arc<Client>) -> SessionId {
        let of = self.of(client);
        let (id, transport) = of.create_session().await.unwrap();
        let tools = Tools { begun: self.tell.clone() };
        let opening =
            actix_rt::spawn(async move { drop(serve_server(tools, transport).await.unwrap().waiting().await) });
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}, "clientInfo": {"name": "a", "version": "1"}});
        let answer =
            of.initialize_session(&id, message(json!({"id": 0, "method": "initialize", "params": hello}))).await;
        assert_eq!(json_of(&answer.unwrap())["result"]["protocolVersion"], "2025-11-25");
        opening.await.unwrap();
        of.close_session(&id).await.unwrap();
        assert!(of.has_session(&id).await.unwrap(), "what has opened it is done, and it is not");
        id
    }

    async fn call(&self, client: &Arc<Client>, session: &SessionId, id: i64, tool: &str) -> Messages {
        let call = message(json!({"id": id, "method": "tools/call", "params": {"name": tool}}));
        Box::pin(self.of(client).create_stream(session, call).await.unwrap())
    }
}

type Messages = Pin<Box<dyn Stream<Item = ServerSseMessage>>>;

fn message(mut json: Value) -> ClientJsonRpcMessage {
    json["jsonrpc"] = json!("2.0");
    serde_json::from_value(json).unwrap()
}

fn json_of(message: &ServerJsonRpcMessage) -> Value {
    serde_json::to_value(message).unwrap()
}

async fn next(messages: &mut Messages) -> Option<Value> {
    Some(json_of(&messages.next().await?.message.unwrap()))
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

#[actix_rt::test]
async fn a_request_is_answered_by_itself_and_its_id_is_free_then() {
    let world = World::new();
    let client = world.client();
    let session = world.open(&client).await;
    for _ in 0..2 {
        let mut quick = world.call(&client, &session, 7, "quick").await;
        let answer = next(&mut quick).await.unwrap();
        assert_eq!((&answer["id"], text(&answer)), (&json!(7), "quick"));
        assert_eq!(next(&mut quick).await, None);
    }
    assert_eq!(world.sessions.len(), 1);
}

#[actix_rt::test]
async fn a_request_ends_with_its_stream_its_cancellation_and_its_session() {
    let mut world = World::new();
    let client = world.client();
    let session = world.open(&client).await;
    // The client closes the stream.
    let waiting = world.call(&client, &session, 1, "waits").await;
    let begun = world.begun.recv().await.unwrap();
    drop(waiting);
    begun.cancelled().await;
    // It says so; then there is no answer.
    let mut waiting = world.call(&client, &session, 1, "waits").await;
    let begun = world.begun.recv().await.unwrap();
    let mut twice = world.call(&client, &session, 1, "quick").await;
    assert_eq!(next(&mut twice).await.unwrap()["error"]["message"], "a request with this id is still in flight");
    let cancelled = json!({"method": "notifications/cancelled", "params": {"requestId": 1}});
    world.of(&client).accept_message(&session, message(cancelled)).await.unwrap();
    begun.cancelled().await;
    assert_eq!(next(&mut waiting).await, None);
    drop(waiting);
    let answer = next(&mut world.call(&client, &session, 1, "quick").await).await.unwrap();
    assert_eq!(text(&answer), "quick", "the id of what was cancelled is free");
    // One that is cancelled before it comes never begins.
    let cancelled = json!({"method": "notifications/cancelled", "params": {"requestId": 2}});
    world.of(&client).accept_message(&session, message(cancelled)).await.unwrap();
    assert_eq!(next(&mut world.call(&client, &session, 2, "waits").await).await, None);
    // The session is deleted.
    let mut waiting = world.call(&client, &session, 3, "waits").await;
    let begun = world.begun.recv().await.unwrap();
    world.of(&client).close_session(&session).await.unwrap();
    begun.cancelled().await;
    assert_eq!(next(&mut waiting).await, None);
    assert!(!world.of(&client).has_session(&session).await.unwrap());
    assert!(world.begun.try_recv().is_err());
}

#[actix_rt::test]
async fn what_a_request_asks_its_client_is_answered_to_it_and_to_no_other() {
    let world = World::new();
    let client = world.client();
    let session = world.open(&client).await;
    let mut asking = Vec::new();
    for id in [1, 2] {
        let mut messages = world.call(&client, &session, id, "asks").await;
        let question = next(&mut messages).await.unwrap();
        assert_eq!(question["method"], "roots/list");
        asking.push((id, messages, question["id"].clone()));
    }
    assert_ne!(asking[0].2, asking[1].2, "each service counts for itself, and the client must tell them apart");
    for (id, mut messages, question) in asking.into_iter().rev() {
        let roots = json!({"id": question, "result": {"roots": [{"uri": format!("file:///{id}")}]}});
        world.of(&client).accept_message(&session, message(roots.clone())).await.unwrap();
        let answer = next(&mut messages).await.unwrap();
        assert_eq!((&answer["id"], text(&answer)), (&json!(id), &*format!("file:///{id}")));
        // Once more, or to nobody, is no harm.
        world.of(&client).accept_message(&session, message(roots)).await.unwrap();
    }
}

#[actix_rt::test]
async fn another_clients_session_is_not_there() {
    let world = World::new();
    let (owner, other) = (world.client(), world.client());
    let session = world.open(&owner).await;
    let of = world.of(&other);
    assert!(!of.has_session(&session).await.unwrap());
    let ping = message(json!({"id": 1, "method": "ping"}));
    assert!(of.create_stream(&session, ping.clone()).await.is_err());
    assert!(of.create_standalone_stream(&session).await.is_err());
    assert!(of.accept_message(&session, ping).await.is_err());
    of.close_session(&session).await.unwrap();
    assert!(world.of(&owner).has_session(&session).await.unwrap());
}

#[actix_rt::test]
async fn the_newest_standing_stream_hears_of_a_changed_mode() {
    let world = World::new();
    let client = world.client();
    let session = world.open(&client).await;
    let stand = async || {
        let of = world.of(&client);
        let standing: Messages = Box::pin(of.create_standalone_stream(&session).await.unwrap());
        standing
    };
    let (mut older, mut newer) = (stand().await, stand().await);
    assert_eq!(next(&mut older).await, None);
    for access in [AccessMode::ReadWrite, AccessMode::ReadOnly] {
        assert!(newer.next().now_or_never().is_none());
        world.show.send_modify(|shown| shown.access = access);
        assert_eq!(next(&mut newer).await.unwrap()["method"], "notifications/tools/list_changed");
    }
    world.of(&client).close_session(&session).await.unwrap();
    assert_eq!(next(&mut newer).await, None);
}

#[actix_rt::test]
async fn a_session_ends_when_its_client_says_nothing_and_waits_for_nothing() {
    tokio::time::pause();
    let mut world = World::new();
    let client = world.client();
    let [silent, talks, waits, listens] = [(); 4].map(|()| world.open(&client));
    let (silent, talks, waits, listens) = (silent.await, talks.await, waits.await, listens.await);
    let waiting = world.call(&client, &waits, 1, "waits").await;
    let standing = world.of(&client).create_standalone_stream(&listens).await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(IDLE / 4).await;
        assert!(world.of(&client).has_session(&talks).await.unwrap());
    }
    assert!(world.sessions.owner(&silent).is_none());
    for session in [&talks, &waits, &listens] {
        assert!(world.sessions.owner(session).is_some());
    }
    drop((waiting, standing));
    world.begun.recv().await.unwrap().cancelled().await;
    tokio::time::sleep(IDLE * 2).await;
    assert!(world.sessions.is_empty());
}
