//! Dialogues over pipes in memory: what a client sends, what reaches rmcp, and what the client is answered.

mod asking;
mod calling;
mod unreadable;
mod writing;

use std::pin::pin;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use futures_util::{FutureExt, poll};
use rmcp::model::ServerResult;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;
use crate::messages::answer::{Answer, Reply};
use crate::messages::call::{Call, CallError};

/// What the pipes of these tests hold: more than any answer of theirs, where reading is not what is tested.
const PIPE_BYTES: usize = 1 << 20;

const LINE_BYTES_MAX: usize = 200;

/// A client with a transport before it, and neither rmcp nor a session behind that.
struct Client {
    calls: mpsc::UnboundedReceiver<Asked>,
    transport: Stdio<DuplexStream>,
    to: DuplexStream,
    from: BufReader<DuplexStream>,
    gone: CancellationToken,
}

impl Client {
    fn new() -> Self {
        Self::with_pipe(PIPE_BYTES)
    }

    fn with_pipe(answer_bytes: usize) -> Self {
        let (to, input) = duplex(PIPE_BYTES);
        let (output, from) = duplex(answer_bytes);
        let gone = CancellationToken::new();
        let log = Logger::root(slog::Discard, slog::o!());
        let (tell, calls) = mpsc::unbounded_channel();
        let session = Calls::new(Session(tell).start().recipient());
        let transport = Stdio::new(input, output, session, LINE_BYTES_MAX, gone.clone(), &log);
        Self { calls, transport, to, from: BufReader::new(from), gone }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.to.write_all(bytes.as_ref()).await.unwrap();
    }

    /// A request that reaches rmcp, and is in flight from then on.
    async fn asks(&mut self, id: Value) {
        self.send(ping(&id)).await;
        assert_eq!(self.received().await.unwrap()["id"], id);
    }

    /// Agree on a revision that has sessions.
    async fn initializes(&mut self, revision: &str) {
        self.initializes_with(revision, json!({})).await;
    }

    /// The same, of a client with these capabilities.
    async fn initializes_with(&mut self, revision: &str, capabilities: Value) {
        let client = json!({"name": "t", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": capabilities, "clientInfo": client});
        let request = json!({"jsonrpc": "2.0", "id": "initialize", "method": "initialize", "params": params});
        self.send(format!("{request}\n")).await;
        assert_eq!(self.received().await.unwrap()["id"], "initialize");
        let result =
            json!({"protocolVersion": revision, "capabilities": {}, "serverInfo": {"name": "t", "version": "1"}});
        let result = ServerResult::InitializeResult(serde_json::from_value(result).unwrap());
        let answer = ServerJsonRpcMessage::response(result, RequestId::String("initialize".into()));
        self.transport.send(answer).await.unwrap();
        assert_eq!(self.answer().await["result"]["protocolVersion"], revision);
    }

    /// A call that reaches the session.
    async fn calls(&mut self, id: Value) -> Asked {
        self.send(call(&id)).await;
        assert!(self.receives_nothing().await);
        self.calls.recv().await.unwrap()
    }

    /// What reaches rmcp next, as JSON; `None` at the end.
    async fn received(&mut self) -> Option<Value> {
        Some(serde_json::to_value(self.transport.receive().await?).unwrap())
    }

    async fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.from.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Whether a message could be received without the client doing anything more.
    async fn receives_nothing(&mut self) -> bool {
        let mut receiving = pin!(self.transport.receive());
        for _ in 0..10 {
            if poll!(&mut receiving).is_ready() {
                return false;
            }
            tokio::task::yield_now().await;
        }
        true
    }

    /// End the input, and see what had come in and what goes out.
    async fn ended(mut self) -> (Vec<Value>, Vec<Value>) {
        self.to.shutdown().await.unwrap();
        let mut received = Vec::new();
        while let Some(message) = self.received().await {
            received.push(message);
        }
        self.transport.traffic.written().await;
        let mut answers = Vec::new();
        let mut line = String::new();
        while let Some(Ok(1..)) = self.from.read_line(&mut line).now_or_never() {
            answers.push(serde_json::from_str(&line).unwrap());
            line.clear();
        }
        (received, answers)
    }
}

/// A session that leaves its answers to the test.
struct Session(mpsc::UnboundedSender<Asked>);

/// A call that has reached it.
struct Asked {
    call: Call,
    reply: OneshotSender<Result<Reply, CallError>>,
}

impl Asked {
    fn answer(self, answer: Answer) {
        self.reply.send(Ok(answer.into())).unwrap();
    }
}

impl Actor for Session {
    type Context = Context<Self>;
}

impl Handler<Call> for Session {
    type Result = LeftToTheTest;

    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> LeftToTheTest {
        LeftToTheTest(call, self.0.clone())
    }
}

struct LeftToTheTest(Call, mpsc::UnboundedSender<Asked>);

impl MessageResponse<Session, Call> for LeftToTheTest {
    fn handle(self, _: &mut Context<Session>, asker: Option<OneshotSender<Result<Reply, CallError>>>) {
        let _ = self.1.send(Asked { call: self.0, reply: asker.unwrap() });
    }
}

fn call(id: &Value) -> String {
    let params = json!({"name": "a_tool", "arguments": {"a": 1}});
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
}

fn ping(id: &Value) -> String {
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "ping"}))
}

fn empty_answer(id: i64) -> ServerJsonRpcMessage {
    ServerJsonRpcMessage::response(ServerResult::empty(()), RequestId::Number(id))
}

/// What becomes of a line.
enum Becomes {
    /// An error to this id, with this code and these words.
    Refused(Value, i32, &'static str),
    /// rmcp's.
    Received,
    /// Neither.
    Nothing,
}
use Becomes::{Nothing, Received, Refused};

/// Each line stands between two requests that have nothing to do with it, and that arrive all the same.
async fn check(what: &str, line: &[u8], becomes: &Becomes) {
    let mut client = Client::new();
    client.send(ping(&json!("first"))).await;
    client.send(line).await;
    client.send(b"\n").await;
    client.send(ping(&json!("last"))).await;
    let (received, answers) = client.ended().await;

    let ids: Vec<&Value> = received.iter().map(|message| &message["id"]).collect();
    assert_eq!(ids.first(), Some(&&json!("first")), "{what}");
    assert_eq!(ids.last(), Some(&&json!("last")), "{what}");
    assert_eq!(received.len(), if matches!(becomes, Received) { 3 } else { 2 }, "{what}: {received:?}");
    match becomes {
        Refused(id, code, words) => {
            assert_eq!(answers.len(), 1, "{what}: {answers:?}");
            let (answer, error) = (&answers[0], &answers[0]["error"]);
            assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), id), "{what}");
            assert_eq!(error["code"], *code, "{what}: {error}");
            assert!(error["message"].as_str().unwrap().contains(words), "{what}: {error}");
        }
        Received | Nothing => assert_eq!(answers, Vec::<Value>::new(), "{what}"),
    }
}

#[actix_rt::test]
async fn parameters_that_do_not_fit_a_known_method_are_invalid_and_the_method_is_not_unknown() {
    for line in [
        r#"{"jsonrpc":"2.0","id":7,"method":"initialize"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":1}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","arguments":[1]}}"#,
    ] {
        check(line, line.as_bytes(), &Refused(json!(7), -32602, "do not fit its schema")).await;
    }
    // Every method that rmcp has and that needs something.
    for method in [
        "completion/complete",
        "logging/setLevel",
        "prompts/get",
        "resources/directory/read",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "skills/get",
        "subscriptions/listen",
        "tasks/cancel",
        "tasks/get",
        "tasks/update",
    ] {
        let line = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": {}}).to_string();
        check(&line, line.as_bytes(), &Refused(json!(7), -32602, method)).await;
    }
    for method in methods::KNOWN.iter().copied().chain(["no/such"]) {
        for params in [json!(7), json!(["a"]), json!("a")] {
            let line = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
            check(&line, line.as_bytes(), &Refused(json!(7), -32602, "`params` must be an object")).await;
        }
    }
}

#[actix_rt::test]
async fn what_is_a_message_reaches_rmcp_and_a_blank_line_nobody() {
    for (line, becomes) in [
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, Received),
        ("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\r", Received),
        (" \t{ \"jsonrpc\" : \"2.0\" , \"id\" : 7 , \"method\" : \"ping\" } ", Received),
        (r#"{"jsonrpc":"2.0","id":"first ","method":"ping"}"#, Received),
        // rmcp answers this one: it knows that there is no such method.
        (r#"{"jsonrpc":"2.0","id":7,"method":"no/such","params":{}}"#, Received),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Received),
        (r#"{"jsonrpc":"2.0","method":"notifications/no/such"}"#, Received),
        (r#"{"jsonrpc":"2.0","id":99,"result":{}}"#, Received),
        (r#"{"jsonrpc":"2.0","id":99,"error":{"code":-1,"message":"no"}}"#, Received),
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":null}"#, Received),
        (r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#, Received),
        // A notification gets no answer, right or wrong.
        (r#"{"jsonrpc":"2.0","method":7}"#, Nothing),
        (r#"{"jsonrpc":"2.0","id":99,"error":7}"#, Nothing),
        ("", Nothing),
        (" \t ", Nothing),
        ("\r", Nothing),
    ] {
        check(line, line.as_bytes(), &becomes).await;
    }
}

#[actix_rt::test]
async fn a_line_may_come_in_any_pieces_and_the_last_one_without_an_end() {
    let mut client = Client::new();
    for byte in ping(&json!("é")).bytes() {
        assert!(client.receives_nothing().await);
        client.send([byte]).await;
    }
    assert_eq!(client.received().await.unwrap()["id"], "é");
    client.send(format!("{}{}", ping(&json!(1)), ping(&json!(2)).trim_end())).await;
    let (received, answers) = client.ended().await;
    assert_eq!(received.iter().map(|message| message["id"].as_i64()).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(answers, Vec::<Value>::new());

    for (what, last, codes) in [
        ("nothing", "".to_owned(), &[][..]),
        ("half a message", "{\"jsonrpc\"".to_owned(), &[-32700]),
        ("too long a line", "x".repeat(100_000), &[-32600]),
    ] {
        let mut client = Client::new();
        client.send(ping(&json!(1))).await;
        client.send(last).await;
        let (received, answers) = client.ended().await;
        assert_eq!(received.len(), 1, "{what}");
        let told: Vec<_> = answers.iter().map(|answer| answer["error"]["code"].as_i64().unwrap()).collect();
        assert_eq!(told, codes, "{what}");
    }
}

#[actix_rt::test]
async fn an_id_in_flight_is_refused_until_its_request_is_answered_or_cancelled() {
    let mut client = Client::new();
    for id in [json!(1), json!("1"), json!(2)] {
        client.send(ping(&id)).await;
        assert_eq!(client.received().await.unwrap()["id"], id, "a number and a text are two ids");
    }
    client.send(ping(&json!(1))).await;
    assert!(client.receives_nothing().await);
    let refused = client.answer().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32600)));
    assert_eq!(refused["error"]["message"], "a request with this id is still in flight");

    client.transport.send(empty_answer(1)).await.unwrap();
    assert_eq!(client.answer().await, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    client.send(ping(&json!(1))).await;
    assert_eq!(client.received().await.unwrap()["id"], 1);

    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#).await;
    client.send("\n").await;
    assert_eq!(client.received().await.unwrap()["method"], "notifications/cancelled", "rmcp cancels the work");
    client.send(ping(&json!(2))).await;
    assert_eq!(client.received().await.unwrap()["id"], 2);

    let error = ErrorData::internal_error("no", None);
    client.transport.send(ServerJsonRpcMessage::error(error, Some(RequestId::Number(2)))).await.unwrap();
    assert_eq!(client.answer().await["error"]["message"], "no");
    client.send(ping(&json!(2))).await;
    assert_eq!(client.received().await.unwrap()["id"], 2);
}

#[actix_rt::test]
async fn a_cancellation_that_names_no_request_in_flight_changes_nothing() {
    for params in [r#"{"requestId":99}"#, r#"{"requestId":"1"}"#, r#"{"reason":"why"}"#, "{}"] {
        let mut client = Client::new();
        client.send(ping(&json!(1))).await;
        client
            .send(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{params}}}\n"))
            .await;
        client.send(ping(&json!(1))).await;
        let (received, answers) = client.ended().await;
        assert_eq!(received.len(), 2, "{params}");
        assert_eq!(answers[0]["error"]["message"], "a request with this id is still in flight", "{params}");
    }
}

#[actix_rt::test]
async fn before_the_first_request_nothing_reaches_rmcp_and_what_is_wrong_is_told() {
    let mut client = Client::new();
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n").await;
    client.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\nhello\n\n").await;
    client.send(ping(&json!(1))).await;
    let (received, answers) = client.ended().await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0]["method"], "ping");
    assert_eq!(answers.iter().map(|answer| &answer["error"]["code"]).collect::<Vec<_>>(), [-32700]);
}
