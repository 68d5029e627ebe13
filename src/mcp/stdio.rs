//! Our own rmcp transport for stdio: a line in is a message, a message out is a line.
//!
//! rmcp's own would leave unanswered a line that is no JSON, one that is too long and the second of two requests with
//! one id; it would take a known method with bad parameters for an unknown one, and build an answer's rows as a tree
//! of values. Here each of these has its answer, and rows go from their bytes to stdout as they are.
//!
//! Messages out are put into one buffer that a writer task empties: what comes while it writes goes out together in
//! the next write. When a client does not read its answers, its requests are no longer read.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequest, ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData, JsonRpcMessage,
    JsonRpcRequest, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use serde_json::Value;
use slog::Logger;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::bytes::BytesMut;
use tokio_util::sync::CancellationToken;

use super::methods;
use crate::log::{debug, warn};

/// Answers not yet taken by the client, in bytes, past which its requests are no longer read.
const UNREAD_BYTES_MAX: usize = 64 << 20;

mod outgoing;

use outgoing::Outgoing;

/// The stdio transport.
pub struct Stdio<R> {
    lines: Lines<R>,
    traffic: Arc<Traffic>,
    /// Cancelled when the client has gone: its input has ended or its output is closed.
    gone: CancellationToken,
    /// Whether a request has come. rmcp ends a session whose first message is none.
    opened: bool,
    log: Logger,
}

impl<R: AsyncRead + Send + Unpin + 'static> Stdio<R> {
    /// A transport over `input` and `output`. Lines are at most `line_bytes_max` bytes long. `gone` is cancelled when
    /// the client has gone.
    pub fn new<W>(input: R, output: W, line_bytes_max: usize, gone: CancellationToken, log: &Logger) -> Self
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let traffic = Arc::<Traffic>::default();
        let log = log.new(slog::o!("logger" => "stdio"));
        tokio::spawn(write(output, traffic.clone(), gone.clone(), log.clone()));
        Self { lines: Lines::new(input, line_bytes_max), traffic, gone, opened: false, log }
    }

    /// What is under way, for whoever ends the process.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// The message that a line holds; `None` if it has been answered here, or can be left without an answer.
    fn message(&mut self, line: &[u8]) -> Option<ClientJsonRpcMessage> {
        let message = match call(line).map_or_else(|| serde_json::from_slice(line), Ok) {
            Ok(message) => message,
            Err(error) => {
                let (id, answer) = fault(line, &error);
                if let Some(answer) = answer {
                    debug!(self.log, "line refused"; "why" => answer.message.to_string());
                    self.traffic.refuse(&id, &answer);
                }
                return None;
            }
        };
        match &message {
            JsonRpcMessage::Request(request) => {
                // A method that rmcp knows comes out as an unknown one when its parameters do not fit.
                if let ClientRequest::CustomRequest(custom) = &request.request
                    && let Some(misfit) = methods::misfit(&custom.method)
                {
                    self.traffic.refuse(&id_text(&request.id), &misfit);
                    return None;
                }
                if !self.traffic.begin(&request.id) {
                    let why = "a request with this id is still in flight";
                    self.traffic.refuse(&id_text(&request.id), &ErrorData::invalid_request(why, None));
                    return None;
                }
                self.opened = true;
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // A cancelled request gets no answer, so its id is free again.
                    self.traffic.end(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        self.opened.then_some(message)
    }
}

impl<R: AsyncRead + Send + Unpin + 'static> Transport<RoleServer> for Stdio<R> {
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        std::future::ready(self.traffic.put(message))
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            self.traffic.wait_for_room().await;
            match self.lines.next().await {
                Ok(Some(Line::Whole(line))) => {
                    if line.iter().all(u8::is_ascii_whitespace) {
                        continue;
                    }
                    if let Some(message) = self.message(&line) {
                        return Some(message);
                    }
                }
                Ok(Some(Line::TooLong)) => {
                    let bytes_max = self.lines.bytes_max;
                    warn!(self.log, "line refused: too long"; "bytes_max" => bytes_max);
                    let why = format!("a line is at most {bytes_max} bytes (MCP_MAX_LINE_BYTES)");
                    self.traffic.refuse("null", &ErrorData::invalid_request(why, None));
                }
                Ok(None) => break,
                Err(error) => {
                    warn!(self.log, "stdin failed"; "why" => error.to_string());
                    break;
                }
            }
        }
        self.gone.cancel();
        None
    }

    async fn close(&mut self) -> io::Result<()> {
        self.traffic.written().await;
        Ok(())
    }
}

/// The message of a line that calls a tool. rmcp would try every kind of message in turn, each on a copy of the line's
/// values.
fn call(line: &[u8]) -> Option<ClientJsonRpcMessage> {
    let call: JsonRpcRequest<CallToolRequest> = serde_json::from_slice(line).ok()?;
    Some(ClientJsonRpcMessage::request(ClientRequest::CallToolRequest(call.request), call.id))
}

/// What is wrong with a line that is no message: the id to answer to, as JSON, and the answer; no answer to what looks
/// like a notification or a response.
fn fault(line: &[u8], error: &serde_json::Error) -> (String, Option<ErrorData>) {
    let null = "null".to_owned();
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return (null, Some(ErrorData::new(ErrorCode::PARSE_ERROR, format!("the line is not JSON: {error}"), None)));
    };
    let refuse = |why: &str| Some(ErrorData::new(ErrorCode::INVALID_REQUEST, why.to_owned(), None));
    let Value::Object(message) = value else {
        let why = match value {
            Value::Array(_) => {
                "batches are not part of the protocol since revision 2025-06-18: send one message a line"
            }
            _ => "a message is a JSON object",
        };
        return (null, refuse(why));
    };
    let id = match message.get("id") {
        Some(id @ Value::String(_)) => id.to_string(),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Some(_) => return (null, refuse("`id` must be a string or an integer")),
        None if message.contains_key("method") && message.get("jsonrpc").is_some_and(|version| version == "2.0") => {
            return (null, None);
        }
        None => null,
    };
    let why = if message.get("jsonrpc").is_none_or(|version| version != "2.0") {
        "`jsonrpc` must be \"2.0\""
    } else if !message.contains_key("method") && (message.contains_key("result") || message.contains_key("error")) {
        return (id, None);
    } else if !message.get("method").is_some_and(Value::is_string) {
        "`method` must be a string"
    } else if message.get("params").is_some_and(|params| !params.is_object()) {
        // JSON-RPC knows parameters by position; MCP does not.
        return (id, Some(ErrorData::invalid_params("`params` must be an object", None)));
    } else {
        "the message is no JSON-RPC request that this server can read"
    };
    (id, refuse(why))
}

fn id_text(id: &RequestId) -> String {
    serde_json::to_string(id).unwrap_or_else(|_| "null".to_owned())
}

/// What is under way between the client and us: requests without an answer, and answers not yet written.
#[derive(Default)]
pub struct Traffic {
    state: Mutex<TrafficState>,
    /// There is something to write.
    filled: Notify,
    /// Something was written, or answered.
    moved: Notify,
}

#[derive(Default)]
struct TrafficState {
    in_flight: HashSet<RequestId>,
    out: Outgoing,
    /// Bytes taken by the writer and not yet written.
    writing: usize,
    broken: bool,
}

impl Traffic {
    fn state(&self) -> MutexGuard<'_, TrafficState> {
        // Nothing panics while it is held; if something did, the state is no worse than before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: &RequestId) -> bool {
        self.state().in_flight.insert(id.clone())
    }

    fn end(&self, id: &RequestId) {
        self.state().in_flight.remove(id);
        self.moved.notify_waiters();
    }

    fn refuse(&self, id: &str, error: &ErrorData) {
        let message = serde_json::to_string(&error.message).unwrap_or_default();
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{},\"message\":{message}}}}}\n",
            error.code.0
        );
        self.state().out.line(&line);
        self.filled.notify_one();
    }

    fn put(&self, message: ServerJsonRpcMessage) -> io::Result<()> {
        let mut state = self.state();
        if state.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        // A cancelled request is no longer in flight, and its answer must not be sent (spec, cancellation).
        if answered.is_some_and(|id| !state.in_flight.remove(id)) {
            return Ok(());
        }
        let encoded = state.out.message(message);
        drop(state);
        self.filled.notify_one();
        self.moved.notify_waiters();
        encoded
    }

    async fn wait_until(&self, done: impl Fn(&TrafficState) -> bool) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if done(&self.state()) {
                return;
            }
            moved.await;
        }
    }

    async fn wait_for_room(&self) {
        self.wait_until(|state| state.broken || state.out.len() + state.writing <= UNREAD_BYTES_MAX).await;
    }

    /// Wait until every answer made so far is written.
    pub async fn written(&self) {
        self.wait_until(|state| state.broken || state.out.len() + state.writing == 0).await;
    }

    /// Wait until every request is answered and every answer is written.
    pub async fn quiet(&self) {
        self.wait_until(|state| state.broken || (state.in_flight.is_empty() && state.out.len() + state.writing == 0))
            .await;
    }
}

/// Writes what the buffer holds, all of it at a time.
async fn write<W: AsyncWrite + Unpin>(mut output: W, traffic: Arc<Traffic>, gone: CancellationToken, log: Logger) {
    loop {
        let out = {
            let mut state = traffic.state();
            let out = state.out.take();
            state.writing = out.len();
            out
        };
        traffic.moved.notify_waiters();
        if out.len() == 0 {
            traffic.filled.notified().await;
            continue;
        }
        if let Err(error) = out.write_to(&mut output).await {
            debug!(log, "stdout is closed"; "why" => error.to_string());
            traffic.state().broken = true;
            traffic.moved.notify_waiters();
            gone.cancel();
            return;
        }
    }
}

/// The lines of a stream, each at most `bytes_max` long.
struct Lines<R> {
    input: R,
    bytes_max: usize,
    buffer: BytesMut,
    /// How much of the buffer holds no end of a line.
    searched: usize,
    /// The rest of a line that was too long is still coming.
    skipping: bool,
}

enum Line {
    Whole(BytesMut),
    TooLong,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(input: R, bytes_max: usize) -> Self {
        Self { input, bytes_max, buffer: BytesMut::with_capacity(8192), searched: 0, skipping: false }
    }

    /// The next line, or `None` at the end. May be dropped and called again: nothing read is lost.
    async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let mut line = self.buffer.split_to(self.searched + at + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(Some(if line.len() > self.bytes_max { Line::TooLong } else { Line::Whole(line) }));
            }
            self.searched = self.buffer.len();
            if self.skipping {
                self.buffer.clear();
                self.searched = 0;
            } else if self.buffer.len() > self.bytes_max {
                self.buffer.clear();
                self.searched = 0;
                self.skipping = true;
                return Ok(Some(Line::TooLong));
            }
            self.buffer.reserve(8192);
            if self.input.read_buf(&mut self.buffer).await? == 0 {
                // The last line need not have an end.
                let line = self.buffer.split();
                self.searched = 0;
                let lost = std::mem::take(&mut self.skipping) || line.is_empty();
                return Ok((!lost).then_some(Line::Whole(line)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
