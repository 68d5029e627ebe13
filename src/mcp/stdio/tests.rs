//! The transport over pipes in memory: the test is the client, and rmcp.

use std::time::Duration;

use rmcp::model::{EmptyResult, ServerResult};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, duplex};

use super::*;

const LINE_BYTES_MAX: usize = 100;

/// An event takes no time here; one that does not come fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

struct Client {
    transport: Stdio<DuplexStream>,
    input: Option<DuplexStream>,
    output: BufReader<DuplexStream>,
    gone: CancellationToken,
}

impl Client {
    fn new(pipe_bytes: usize) -> Self {
        let (input, theirs) = duplex(1 << 20);
        let (ours, output) = duplex(pipe_bytes);
        let gone = CancellationToken::new();
        let log = Logger::root(slog::Discard, slog::o!());
        let transport = Stdio::new(theirs, ours, LINE_BYTES_MAX, gone.clone(), &log);
        Self { transport, input: Some(input), output: BufReader::new(output), gone }
    }

    async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.as_mut().unwrap().write_all(bytes.as_ref()).await.unwrap();
    }

    /// The ids of the requests that reach rmcp until the input ends.
    async fn received(mut self) -> Vec<String> {
        self.input = None;
        let mut ids = Vec::new();
        while let Some(message) = self.transport.receive().await {
            if let JsonRpcMessage::Request(request) = message {
                ids.push(id_text(&request.id));
            }
        }
        assert!(self.gone.is_cancelled());
        ids
    }

    /// The next request's id.
    async fn next(&mut self) -> String {
        match tokio::time::timeout(PATIENCE, self.transport.receive()).await.unwrap() {
            Some(JsonRpcMessage::Request(request)) => id_text(&request.id),
            other => panic!("{other:?}"),
        }
    }

    async fn answer(&mut self, id: i64) -> io::Result<()> {
        let result = ServerResult::EmptyResult(EmptyResult {});
        self.transport.send(ServerJsonRpcMessage::response(result, RequestId::Number(id))).await
    }

    /// The next line that comes back.
    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, self.output.read_line(&mut line)).await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

fn ping(id: i64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

#[tokio::test]
async fn a_line_is_a_line_however_it_comes() {
    let text = format!("{}\r\n\n  \n{}\n{}", ping(1), ping(2), ping(3));
    let mut whole = Client::new(1 << 16);
    whole.say(&text).await;
    assert_eq!(whole.received().await, ["1", "2", "3"], "the last one without an end");

    let mut piecewise = Client::new(1 << 16);
    for (at, byte) in text.bytes().enumerate() {
        piecewise.say([byte]).await;
        // Read what there is: a `receive` that is given up loses nothing.
        if at % 7 == 0 {
            let early = futures_util::FutureExt::now_or_never(piecewise.transport.receive());
            assert!(early.is_none_or(|message| matches!(message, Some(JsonRpcMessage::Request(_)))));
        }
    }
    let rest = piecewise.received().await;
    assert_eq!(rest.last().map(String::as_str), Some("3"));
}

#[tokio::test]
async fn a_line_past_the_limit_is_refused_and_the_next_one_is_read() {
    let at_limit = |id: i64, bytes: usize| format!("{}{}", ping(id), " ".repeat(bytes - ping(id).len()));
    let mut client = Client::new(1 << 16);
    client.say(format!("{}\n", at_limit(1, LINE_BYTES_MAX))).await;
    client.say(format!("{}\n", at_limit(2, LINE_BYTES_MAX + 1))).await;
    client.say(format!("{}\n", at_limit(3, 50_000))).await;
    client.say(format!("{}\n", ping(4))).await;
    assert_eq!((client.next().await, client.next().await), ("1".to_owned(), "4".to_owned()));
    for _ in 0..2 {
        let refusal = client.hear().await;
        assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&Value::Null, &json!(-32600)));
        assert!(refusal["error"]["message"].as_str().unwrap().contains("MCP_MAX_LINE_BYTES"), "{refusal}");
    }
}

#[tokio::test]
async fn an_id_can_be_used_again_when_it_is_answered_or_cancelled_and_not_before() {
    let mut client = Client::new(1 << 16);
    client.say(format!("{}\n{}\n{}\n", ping(1), ping(1), ping(2))).await;
    assert_eq!((client.next().await, client.next().await), ("1".to_owned(), "2".to_owned()));
    let refusal = client.hear().await;
    assert_eq!(refusal["id"], 1);
    assert!(refusal["error"]["message"].as_str().unwrap().contains("still in flight"), "{refusal}");

    client.answer(1).await.unwrap();
    assert_eq!(client.hear().await, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    client.say(format!("{}\n", ping(1))).await;
    assert_eq!(client.next().await, "1");

    client.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#).await;
    client.say(format!("\n{}\n", ping(2))).await;
    assert!(matches!(client.transport.receive().await, Some(JsonRpcMessage::Notification(_))));
    assert_eq!(client.next().await, "2");
}

#[tokio::test]
async fn an_answer_to_a_cancelled_request_is_not_sent() {
    let mut client = Client::new(1 << 16);
    client.say(format!("{}\n", ping(1))).await;
    client.say("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n").await;
    client.say(format!("{}\n", ping(2))).await;
    assert_eq!(client.next().await, "1");
    assert!(matches!(client.transport.receive().await, Some(JsonRpcMessage::Notification(_))));
    assert_eq!(client.next().await, "2");
    client.answer(1).await.unwrap();
    client.answer(2).await.unwrap();
    assert_eq!(client.hear().await["id"], 2);
}

#[tokio::test]
async fn what_comes_before_the_first_request_reaches_nobody() {
    let mut client = Client::new(1 << 16);
    client.say("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n").await;
    client.say(format!("{}\n", ping(1))).await;
    assert_eq!(client.next().await, "1");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_not_read_until_it_does() {
    let mut client = Client::new(1000);
    let why = "x".repeat(1 << 20);
    while client.transport.traffic.state().out.len() <= UNREAD_BYTES_MAX {
        client.transport.traffic.refuse("1", &ErrorData::internal_error(why.clone(), None));
    }
    client.say(format!("{}\n", ping(7))).await;
    // The writer takes the whole buffer, which counts until it is written.
    tokio::task::yield_now().await;
    assert!(futures_util::FutureExt::now_or_never(client.transport.receive()).is_none());
    let mut reader = client.output;
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    let message = tokio::time::timeout(PATIENCE, client.transport.receive()).await.unwrap();
    assert!(matches!(message, Some(JsonRpcMessage::Request(_))));
    reading.abort();
}

#[tokio::test]
async fn a_closed_output_is_the_clients_end() {
    let mut client = Client::new(1000);
    client.say(format!("{}\n", ping(1))).await;
    assert_eq!(client.next().await, "1");
    drop(client.output);
    let result = ServerResult::EmptyResult(EmptyResult {});
    client.transport.send(ServerJsonRpcMessage::response(result.clone(), RequestId::Number(1))).await.unwrap();
    client.gone.cancelled().await;
    let sent = client.transport.send(ServerJsonRpcMessage::response(result, RequestId::Number(2))).await;
    assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    client.transport.close().await.unwrap();
}
