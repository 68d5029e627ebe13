//! The one encoder: messages as JSON, for stdio and for HTTP alike. Small ones are put together; the large parts of an
//! answer stay where they are and are escaped while they are written, so that an answer is in memory once.

use std::io;

use pg_render::push_json_escaped;
use rmcp::ErrorData;
use rmcp::model::{ProtocolVersion, RequestId, ServerJsonRpcMessage};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_util::bytes::{Bytes, BytesMut};

use super::asking::{self, QuestionEvent};
use super::methods;
use crate::messages::answer::{Answer, InputRequired, Pieces, Reply};

/// The member of `_meta` that tells programs of a failure (spec, General fields: a prefix, a slash, a name).
const FAILURE: &str = "mcp-server-postgres/failure";

/// The member of `_meta` that tells programs what an answer is: data, never instructions to a model.
const CONTENT: &str = "mcp-server-postgres/content";

/// A part from this size on, in bytes, is not copied.
const PART_BYTES_MIN: usize = 16 << 10;

/// Room for the first small messages.
const TAIL_BYTES: usize = 1 << 10;

/// How much is escaped at a time.
const ESCAPED_BYTES: usize = 64 << 10;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Encoder {
    parts: Vec<Part>,
    /// What comes after them.
    tail: BytesMut,
    /// About how long the parts are.
    bytes: usize,
    /// What a small part is escaped in.
    escaped: Vec<u8>,
}

enum Part {
    /// As it is.
    Plain(Bytes),
    /// As the inside of a JSON string.
    Quoted(Bytes),
}

impl Encoder {
    /// About how many bytes it is.
    pub(super) fn len(&self) -> usize {
        self.bytes + self.tail.len()
    }

    /// All of it, which is then none.
    pub(super) fn take(&mut self) -> Self {
        let next = Self { escaped: std::mem::take(&mut self.escaped), ..Self::default() };
        std::mem::replace(self, next)
    }

    /// A message of rmcp's; nothing, if it cannot be written.
    pub(super) fn message(&mut self, message: &ServerJsonRpcMessage) -> io::Result<()> {
        let before = self.tail.len();
        let written = self.json(message);
        if written.is_err() {
            self.tail.truncate(before);
        }
        written
    }

    /// A question to the client, between `before` and `after`.
    pub(super) fn question(&mut self, event: &QuestionEvent, before: &str, after: &str) {
        let message = match event {
            QuestionEvent::Ask { id, parameters } => {
                json!({"jsonrpc": "2.0", "id": id, "method": asking::METHOD, "params": parameters})
            }
            QuestionEvent::Withdraw { id } => {
                let parameters = json!({"requestId": id, "reason": "nobody waits for the answer any more"});
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": parameters})
            }
        };
        self.plain(before);
        let _ = self.json(&message);
        self.plain(after);
    }

    /// What is wrong with a request; `id` is JSON.
    pub(super) fn error(&mut self, id: &str, error: &ErrorData) {
        self.begin(id);
        self.plain(r#","error":"#);
        // It is made of texts and a number, so it can be written.
        let _ = self.json(error);
        self.plain("}");
    }

    /// What a call of a tool has come to.
    pub(super) fn called(&mut self, id: &RequestId, reply: Result<Reply, ErrorData>, revision: &ProtocolVersion) {
        let id = id_text(id);
        match reply {
            Ok(Reply::Answer(answer)) => self.answer(&id, answer, revision),
            Ok(Reply::InputRequired(input)) => self.input_required(&id, input, revision),
            Err(error) => self.error(&id, &error),
        }
    }

    fn answer(&mut self, id: &str, answer: Answer, revision: &ProtocolVersion) {
        self.begin(id);
        self.plain(r#","result":{"content":[{"type":"text","text":""#);
        self.pieces(answer.text, Part::Quoted);
        self.plain(r#""}]"#);
        if let Some(structured) = answer.structured {
            self.plain(r#","structuredContent":"#);
            self.pieces(structured, Part::Plain);
        }
        if methods::is_stateless(revision) {
            self.plain(r#","resultType":"complete""#);
        }
        self.plain(if answer.is_error { r#","isError":true,"_meta":"# } else { r#","isError":false,"_meta":"# });
        let (name, value) = meta(answer.failure);
        self.plain("{");
        let _ = self.json(&name);
        self.plain(":");
        let _ = self.json(&value);
        self.plain("}}}");
    }

    /// A result of 2026-07-28; the revisions before it have none of this kind.
    fn input_required(&mut self, id: &str, input: InputRequired, revision: &ProtocolVersion) {
        if !methods::is_stateless(revision) {
            let why = format!("This call has a question to its client, which revision {revision} has no result for.");
            return self.answer(id, Answer::error(why), revision);
        }
        self.begin(id);
        self.plain(r#","result":{"resultType":"input_required","inputRequests":"#);
        let _ = self.json(&input.requests);
        if let Some(state) = &input.state {
            self.plain(r#","requestState":"#);
            let _ = self.json(state);
        }
        self.plain("}}");
    }

    /// What every answer begins with.
    fn begin(&mut self, id: &str) {
        if self.tail.capacity() == 0 {
            self.tail.reserve(TAIL_BYTES);
        }
        self.plain(r#"{"jsonrpc":"2.0","id":"#);
        self.plain(id);
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        struct Extend<'a>(&'a mut BytesMut);
        impl io::Write for Extend<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        Ok(serde_json::to_writer(Extend(&mut self.tail), value)?)
    }

    /// A text as it is.
    pub(super) fn plain(&mut self, text: &str) {
        self.tail.extend_from_slice(text.as_bytes());
    }

    fn pieces(&mut self, pieces: Pieces, as_part: fn(Bytes) -> Part) {
        pieces.into_iter().for_each(|piece| self.part(as_part(piece)));
    }

    fn part(&mut self, part: Part) {
        let (Part::Plain(bytes) | Part::Quoted(bytes)) = &part;
        if bytes.len() >= PART_BYTES_MIN {
            let before = self.tail.split().freeze();
            self.bytes += before.len() + bytes.len();
            self.parts.extend([Part::Plain(before), part]);
            return;
        }
        match &part {
            Part::Plain(bytes) => self.tail.extend_from_slice(bytes),
            Part::Quoted(bytes) => {
                self.escaped.clear();
                push_json_escaped(bytes, &mut self.escaped);
                self.tail.extend_from_slice(&self.escaped);
            }
        }
    }

    /// Write it all. Each part is let go when it is written.
    pub(super) async fn write_to(self, output: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut escaped = Vec::new();
        for part in self.parts {
            match part {
                Part::Plain(bytes) => output.write_all(&bytes).await?,
                Part::Quoted(bytes) => {
                    for piece in bytes.chunks(ESCAPED_BYTES) {
                        escaped.clear();
                        push_json_escaped(piece, &mut escaped);
                        output.write_all(&escaped).await?;
                    }
                }
            }
        }
        output.write_all(&self.tail).await?;
        output.flush().await
    }

    /// The whole, if no part of it is large.
    pub(super) fn into_small(self) -> Result<Bytes, Self> {
        if self.parts.is_empty() { Ok(self.tail.freeze()) } else { Err(self) }
    }

    /// All of it in order, each piece made when it is asked for. Each part is let go with its last piece.
    pub(super) fn into_chunks(self) -> impl Iterator<Item = Bytes> + Send + 'static {
        let parts = self.parts.into_iter().flat_map(|part| {
            let (mut plain, mut quoted) = match part {
                Part::Plain(bytes) => (Some(bytes), Bytes::new()),
                Part::Quoted(bytes) => (None, bytes),
            };
            std::iter::from_fn(move || {
                if let Some(bytes) = plain.take() {
                    return Some(bytes);
                }
                if quoted.is_empty() {
                    return None;
                }
                let piece = quoted.split_to(quoted.len().min(ESCAPED_BYTES));
                let mut escaped = Vec::with_capacity(piece.len() + piece.len() / 8);
                push_json_escaped(&piece, &mut escaped);
                Some(Bytes::from(escaped))
            })
        });
        parts.chain(std::iter::once(self.tail.freeze())).filter(|chunk| !chunk.is_empty())
    }
}

/// What a result's `_meta` holds: the name of its one member, and that.
pub(super) fn meta(failure: Option<Box<Value>>) -> (&'static str, Value) {
    match failure {
        Some(facts) => (FAILURE, *facts),
        None => (CONTENT, Value::from("data")),
    }
}

/// An id as JSON.
pub(super) fn id_text(id: &RequestId) -> String {
    match id {
        RequestId::Number(number) => number.to_string(),
        RequestId::String(text) => serde_json::to_string(text).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: impl Into<Reply>, revision: &ProtocolVersion) -> String {
        let mut encoder = Encoder::default();
        encoder.called(&RequestId::Number(7), Ok(reply.into()), revision);
        let chunks: Vec<Bytes> = encoder.into_chunks().collect();
        String::from_utf8(chunks.concat()).unwrap()
    }

    #[test]
    fn a_question_to_the_client_is_a_result_of_its_own_where_the_revision_has_one_and_a_failure_where_not() {
        let requests = json!({"sure": {"method": "elicitation/create", "params": {"message": "Sure?"}}});
        let Value::Object(requests) = requests else { unreachable!() };
        let reply =
            || Reply::InputRequired(InputRequired { requests: requests.clone(), state: Some("a \"b\"".to_owned()) });
        let newest: Value = serde_json::from_str(&written(reply(), &ProtocolVersion::V_2026_07_28)).unwrap();
        let result = json!({"resultType": "input_required", "inputRequests": requests, "requestState": "a \"b\""});
        assert_eq!(newest, json!({"jsonrpc": "2.0", "id": 7, "result": result}));
        let older: Value = serde_json::from_str(&written(reply(), &ProtocolVersion::V_2025_11_25)).unwrap();
        assert_eq!(older["result"]["isError"], true);
        assert!(older["result"]["content"][0]["text"].as_str().unwrap().contains("2025-11-25"), "{older}");
    }

    #[test]
    fn chunks_are_what_is_written_at_once_whatever_their_size() {
        for size in [0, 10, PART_BYTES_MIN, 3 * ESCAPED_BYTES + 1] {
            let rows = Bytes::from(format!("[\"{}\"]", "é\\n\\\"".repeat(size / 6)));
            let mut text = Pieces::from("before \"a\"\n".to_owned());
            text.push_rows(rows.clone());
            text.push("after");
            let mut structured = Pieces::from("{\"rows\":[".to_owned());
            structured.push_rows(rows);
            structured.push("]}");
            let told = text.to_string();
            let answer = Answer { text, structured: Some(structured), is_error: false, failure: None };
            let json: Value = serde_json::from_str(&written(answer, &ProtocolVersion::V_2025_11_25)).unwrap();
            assert_eq!(json["result"]["content"][0]["text"], told, "{size}");
            assert!(json["result"]["structuredContent"]["rows"].is_array(), "{size}");
        }
    }
}
