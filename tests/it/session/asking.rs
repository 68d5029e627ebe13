//! Questions of a call to its client over HTTP: in a session, and without one. The test is the tool.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::response::Response;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use mcp_server_postgres::actors::clients::access::ClientAccess;
use mcp_server_postgres::actors::clients::client::Client;
use mcp_server_postgres::actors::clients::registry::{Admit, Rules};
use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::http::auth::Auth;
use mcp_server_postgres::mcp::http::admission::{Admission, session_owner};
use mcp_server_postgres::mcp::http::{Mcp, router, server};
use mcp_server_postgres::mcp::sessions::Sessions;
use mcp_server_postgres::messages::answer::{Answer, Reply};
use mcp_server_postgres::messages::ask::{Asked as Outcome, CannotAsk, Question};
use mcp_server_postgres::messages::call::{Call, CallContext};
use mcp_server_postgres::messages::database::ClientDatabases;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

use crate::common::databases::set_of;
use crate::common::scripted::{Asked, Script, scripted};
use crate::common::{no_log, settings_with};

/// What a client accepts that has rmcp serve its call: its parameter makes it unusual.
const UNUSUAL: &str = "application/json;q=1, text/event-stream";
const USUAL: &str = "application/json, text/event-stream";

/// The daemon as one client meets it, whose session the test plays.
struct World {
    router: Router,
    sessions: Arc<Sessions>,
    calls: Script<Call>,
    _rules: watch::Sender<Rules>,
}

/// A session of a revision that has them.
struct Session {
    id: String,
    revision: &'static str,
}

/// An answer that is a stream of events.
struct Events(BodyDataStream);

impl World {
    fn new(in_flight_max: usize) -> Self {
        let settings = Arc::new(settings_with(|settings| settings.limits.in_flight_max = in_flight_max));
        let (session, calls) = scripted::<Call>();
        let databases = ClientDatabases::all(set_of([]).subscribe());
        let access = ClientAccess::new(&Caller::stdio(), databases);
        let token = CancellationToken::new;
        let client = Arc::new(Client::new(Caller::stdio(), session, access, false, token(), Default::default()));
        let (admit, mut admits) = scripted::<Admit>();
        tokio::task::spawn_local(async move {
            loop {
                admits.next().await.answer(Some(client.clone()));
            }
        });
        let (rules, seen) = watch::channel(Rules { settings, tls: None });
        let sessions = Arc::new(Sessions::new(Duration::from_secs(60)));
        let owners = sessions.clone();
        let owner = Box::new(move |headers: &_| session_owner(&owners, headers));
        let auth = Arc::new(Auth::new(admit, seen.clone(), owner, &no_log()));
        let admission = Admission::new(sessions.clone(), seen, &no_log());
        let make = move |client: &Arc<Client>| server(client, &token());
        let mcp = Mcp::new(make, sessions.clone(), 1 << 20, token()).with_own_calls();
        Self { router: router(auth, admission, mcp), sessions, calls, _rules: rules }
    }

    async fn request(&self, method: &str, accept: &str, headers: &[(&str, &str)], body: String) -> Response {
        let mut request = Request::builder().method(method).uri("/mcp").header("host", "localhost");
        for (name, value) in [("content-type", "application/json"), ("accept", accept)].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        self.router.clone().call(request.body(Body::from(body)).unwrap()).await.unwrap()
    }

    async fn open(&self, revision: &'static str, capabilities: Value) -> Session {
        let client = json!({"name": "a", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": capabilities, "clientInfo": client});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = self.request("POST", USUAL, &[], hello.to_string()).await;
        let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        response.into_body().collect().await.unwrap();
        Session { id, revision }
    }

    async fn post(&self, session: &Session, accept: &str, message: Value) -> Response {
        let headers = [("mcp-session-id", &*session.id), ("mcp-protocol-version", session.revision)];
        self.request("POST", accept, &headers, message.to_string()).await
    }

    /// A call in a session, and what its tool hears.
    async fn call(&mut self, session: &Session, accept: &str) -> (Events, Asked<Call>) {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a_tool"}});
        let response = self.post(session, accept, call).await;
        assert_eq!(response.status(), 200);
        (Events(response.into_body().into_data_stream()), self.calls.next().await)
    }

    /// The client responds to a request of the server.
    async fn respond(&self, session: &Session, id: &Value, member: &str, value: Value) {
        let response = self.post(session, USUAL, json!({"jsonrpc": "2.0", "id": id, member: value})).await;
        assert_eq!(response.status(), 202);
    }

    /// A call without a session, and what its tool hears. The answer comes when the tool has answered.
    async fn call_alone(&mut self, accept: &str, arguments: &Value, more: Value) -> (JoinHandle<Value>, Asked<Call>) {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        });
        let mut params = json!({"name": "a_tool", "arguments": arguments, "_meta": meta});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let request = Request::builder().method("POST").uri("/mcp").header("host", "localhost");
        let request = request.header("content-type", "application/json").header("accept", accept);
        let request = request.header("mcp-protocol-version", "2026-07-28");
        let request = request.header("mcp-method", "tools/call").header("mcp-name", "a_tool");
        let (mut router, request) = (self.router.clone(), request.body(Body::from(message)).unwrap());
        let answer = tokio::task::spawn_local(async move {
            let response = router.call(request).await.unwrap();
            assert_eq!(response.status(), 200);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            serde_json::from_slice::<Value>(&body).unwrap()["result"].clone()
        });
        (answer, self.calls.next().await)
    }
}

impl Events {
    /// The next message; none at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let event = self.0.next().await?.unwrap();
            let data = std::str::from_utf8(&event).unwrap().split_once("data:");
            match data {
                Some((_, data)) if !data.trim().is_empty() => return Some(serde_json::from_str(data.trim()).unwrap()),
                _ => {}
            }
        }
    }

    /// The request that asks: its id.
    async fn asked(&mut self) -> Value {
        let request = self.next().await.unwrap();
        assert_eq!(request["method"], "elicitation/create", "{request}");
        assert_eq!(request["params"]["message"], question().message);
        assert_eq!(request["params"]["requestedSchema"]["type"], "object");
        request["id"].clone()
    }
}

fn question() -> Question {
    Question::confirmation("Delete \"all\"?")
}

/// The call as its tool sees it.
fn context(call: &Call) -> CallContext {
    let arguments = Arc::new(call.arguments.clone());
    CallContext { arguments, client: call.client.clone(), ..CallContext::new("a_tool", Caller::stdio()) }
}

/// The tool asks, by itself.
fn ask(call: &Call) -> JoinHandle<Outcome> {
    let mut call = context(call);
    tokio::task::spawn_local(async move { call.ask("sure", &question()).await })
}

fn done() -> Reply {
    Reply::Answer(Answer::error("done"))
}

#[actix_rt::test]
async fn in_a_session_the_question_is_an_event_of_the_call_and_the_response_a_request() {
    for revision in ["2025-06-18", "2025-11-25"] {
        for accept in [USUAL, UNUSUAL] {
            let mut world = World::new(9);
            let session = world.open(revision, json!({"elicitation": {}})).await;
            for (member, response, outcome) in [
                ("result", json!({"action": "accept", "content": {}}), Outcome::Accepted(Default::default())),
                ("result", json!({"action": "decline"}), Outcome::Declined),
                ("result", json!({"action": "cancel"}), Outcome::Cancelled),
                (
                    "error",
                    json!({"code": -1, "message": "no"}),
                    Outcome::CannotAsk(CannotAsk::Failed("no (-1)".to_owned())),
                ),
            ] {
                let (mut events, call) = world.call(&session, accept).await;
                let tool = ask(&call.message);
                let id = events.asked().await;
                world.respond(&session, &json!("mcp-server-postgres/question/99"), "result", json!({})).await;
                world.respond(&session, &id, member, response).await;
                assert_eq!(tool.await.unwrap(), outcome, "{revision}, {accept}");
                world.respond(&session, &id, "result", json!({"action": "decline"})).await;
                call.answer(Ok(done()));
                assert_eq!(events.next().await.unwrap()["result"]["content"][0]["text"], "done");
                assert_eq!(events.next().await, None);
            }
        }
    }
}

#[actix_rt::test]
async fn a_client_that_has_not_declared_forms_is_asked_nothing() {
    for (revision, capabilities, why) in [
        ("2025-11-25", json!({}), CannotAsk::NotDeclared),
        ("2025-11-25", json!({"elicitation": {"url": {}}}), CannotAsk::NotDeclared),
        ("2025-03-26", json!({"elicitation": {}}), CannotAsk::OldRevision("2025-03-26".to_owned())),
    ] {
        for accept in [USUAL, UNUSUAL] {
            let mut world = World::new(9);
            let session = world.open(revision, capabilities.clone()).await;
            let (mut events, call) = world.call(&session, accept).await;
            assert_eq!(ask(&call.message).await.unwrap(), Outcome::CannotAsk(why.clone()), "{revision}");
            call.answer(Ok(done()));
            assert!(events.next().await.unwrap()["result"].is_object(), "nothing was asked");
        }
    }
}

#[actix_rt::test]
async fn a_client_with_as_much_in_flight_as_it_may_have_can_still_respond() {
    let mut world = World::new(1);
    let session = world.open("2025-11-25", json!({"elicitation": {}})).await;
    let (mut events, call) = world.call(&session, USUAL).await;
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    assert_eq!(world.post(&session, USUAL, list.clone()).await.status(), 429);
    let tool = ask(&call.message);
    let id = events.asked().await;
    world.respond(&session, &id, "result", json!({"action": "decline"})).await;
    assert_eq!(tool.await.unwrap(), Outcome::Declined);
    assert_eq!(world.post(&session, USUAL, list).await.status(), 429, "nothing is open any more");
}

#[actix_rt::test]
async fn a_call_that_ends_while_it_asks_is_woken_and_its_question_forgotten() {
    let gone = Outcome::CannotAsk(CannotAsk::Gone);
    let mut world = World::new(9);

    let session = world.open("2025-11-25", json!({"elicitation": {}})).await;
    let (mut events, call) = world.call(&session, USUAL).await;
    let tool = ask(&call.message);
    let id = events.asked().await;
    assert!(world.sessions.is_asking(&session.id));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    assert_eq!(world.post(&session, USUAL, cancel).await.status(), 202);
    let withdrawn = events.next().await.unwrap();
    assert_eq!((&withdrawn["method"], &withdrawn["params"]["requestId"]), (&json!("notifications/cancelled"), &id));
    assert_eq!(events.next().await, None, "a cancelled call has no answer");
    assert_eq!(tool.await.unwrap(), gone, "cancelled by the client");
    call.dropped().await;
    assert!(!world.sessions.is_asking(&session.id));
    world.respond(&session, &id, "result", json!({"action": "accept"})).await;

    let (mut events, call) = world.call(&session, USUAL).await;
    let tool = ask(&call.message);
    events.asked().await;
    drop(events);
    assert_eq!(tool.await.unwrap(), gone, "the client has closed the stream");
    call.dropped().await;
    assert!(!world.sessions.is_asking(&session.id));

    let (mut events, call) = world.call(&session, USUAL).await;
    let tool = ask(&call.message);
    events.asked().await;
    let headers = [("mcp-session-id", &*session.id), ("mcp-protocol-version", session.revision)];
    assert_eq!(world.request("DELETE", USUAL, &headers, String::new()).await.status(), 204);
    while events.next().await.is_some() {}
    assert_eq!(tool.await.unwrap(), gone, "the session has ended");
    call.dropped().await;
}

#[actix_rt::test]
async fn without_a_session_the_question_is_a_result_and_the_answer_comes_with_the_next_call() {
    for accept in [USUAL, UNUSUAL] {
        let mut world = World::new(9);
        let arguments = json!({"query": "delete from t"});
        let (answer, call) = world.call_alone(accept, &arguments, json!({})).await;
        let Outcome::Return(input) = context(&call.message).ask("sure", &question()).await else { unreachable!() };
        call.answer(Ok(Reply::InputRequired(input)));
        let result = answer.await.unwrap();
        assert_eq!(result["resultType"], "input_required", "{accept}: {result}");
        assert_eq!(result["inputRequests"]["sure"]["method"], "elicitation/create");
        assert_eq!(result["inputRequests"]["sure"]["params"]["message"], question().message);
        let answers = json!({"sure": {"action": "accept", "content": {}}});
        let again = json!({"inputResponses": answers, "requestState": result["requestState"]});
        for (arguments, is_answered) in [(&arguments, true), (&json!({"query": "delete from u"}), false)] {
            let (answer, call) = world.call_alone(accept, arguments, again.clone()).await;
            let asked = context(&call.message).ask("sure", &question()).await;
            assert_eq!(asked == Outcome::Accepted(Default::default()), is_answered, "{accept}: {asked:?}");
            assert_eq!(matches!(asked, Outcome::Return(_)), !is_answered);
            call.answer(Ok(done()));
            assert_eq!(answer.await.unwrap()["content"][0]["text"], "done");
        }
    }
}
