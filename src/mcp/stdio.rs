//! Our own rmcp transport for stdio: a line in is a message, a message out is a line.
//!
//! rmcp's own would leave unanswered a line that is no JSON, one that is too long and the second of two requests with
//! one id; it would take a known method with bad parameters for an unknown one, and build an answer's rows as a tree
//! of values. Here each of these has its answer (`unread` says to which id), calls of tools go to the session and back
//! without rmcp (`tool_call` says which, and why), and rows go from their bytes to stdout as they are.
//!
//! Messages out are put into one buffer that a writer task empties: what comes while it writes goes out together in
//! the next write. When a client does not read its answers, its requests are no longer read.

use std::io;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorData, JsonRpcMessage, ProgressNotification,
    ProtocolVersion, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use slog::Logger;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::calls::{CallEvent, Calls};
use super::encoder::id_text;
use super::methods;
use super::tool_call::ToolCall;
use crate::log::{debug, warn};

mod lines;
mod traffic;
mod unread;

use lines::{Line, Lines};
use unread::fault;

pub use traffic::Traffic;

pub struct Stdio<R> {
    lines: Lines<R>,
    traffic: Arc<Traffic>,
    calls: Calls,
    /// Cancelled when the client has gone: its input has ended or its output is closed.
    gone: CancellationToken,
    /// Whether a request has come. rmcp ends a session whose first message is none.
    opened: bool,
    log: Logger,
}

impl<R: AsyncRead + Send + Unpin + 'static> Stdio<R> {
    /// A transport over `input` and `output`, whose calls of tools go by `calls`. Lines are at most `line_bytes_max` bytes
    /// long. `gone` is cancelled when the client has gone.
    pub fn new<W>(
        input: R,
        output: W,
        calls: Calls,
        line_bytes_max: usize,
        gone: CancellationToken,
        log: &Logger,
    ) -> Self
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let traffic = Arc::<Traffic>::default();
        let log = log.new(slog::o!("logger" => "stdio"));
        tokio::spawn(traffic::write(output, traffic.clone(), gone.clone(), log.clone()));
        Self { lines: Lines::new(input, line_bytes_max), traffic, calls, gone, opened: false, log }
    }

    /// What is under way, for whoever ends the process.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// The message that a line holds; `None` if it has been answered here, or can be left without an answer.
    fn message(&mut self, line: &[u8]) -> Option<ClientJsonRpcMessage> {
        if let Some(call) = ToolCall::of(line)
            && let Some(revision) = call.revision(self.traffic.revision().as_ref())
        {
            self.call(call, revision);
            return None;
        }
        let message = match serde_json::from_slice(line) {
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
        // The response to a question of ours; rmcp has not sent it.
        let message = self.traffic.questions.take(message)?;
        match &message {
            JsonRpcMessage::Request(request) => {
                // A method that rmcp knows comes out as an unknown one when its parameters do not fit.
                if let ClientRequest::CustomRequest(custom) = &request.request
                    && let Some(misfit) = methods::misfit(&custom.method, self.traffic.revision().as_ref())
                {
                    self.traffic.refuse(&id_text(&request.id), &misfit);
                    return None;
                }
                if !self.begins(&request.id) {
                    return None;
                }
                if let ClientRequest::InitializeRequest(initialize) = &request.request {
                    self.traffic.opens(&request.id, &initialize.params.capabilities);
                }
                self.opened = true;
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.traffic.cancel(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        self.opened.then_some(message)
    }

    /// Whether a request may be worked on; if not, it has been answered.
    fn begins(&self, id: &RequestId) -> bool {
        let begins = self.traffic.begin(id);
        if !begins {
            let why = "a request with this id is still in flight";
            self.traffic.refuse(&id_text(id), &ErrorData::invalid_request(why, None));
        }
        begins
    }

    /// Have a tool called, by a task of its own.
    fn call(&self, call: ToolCall, revision: ProtocolVersion) {
        if !self.begins(&call.id) {
            return;
        }
        let (id, mut call) = call.begin(&self.calls, None, &revision, self.traffic.client());
        let (traffic, request) = (self.traffic.clone(), id.clone());
        let task = tokio::spawn(async move {
            loop {
                match call.next().await {
                    CallEvent::Progress(progress) => {
                        let notification = ProgressNotification::new(progress);
                        // A client that has gone is seen where its lines are read.
                        let _ = traffic.put(ServerJsonRpcMessage::notification(notification.into()));
                    }
                    CallEvent::Question(question) => traffic.question(&question),
                    CallEvent::Ended(reply) => return traffic.answer(&request, &revision, reply),
                }
            }
        });
        self.traffic.is_ours(&id, task.abort_handle());
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
                Ok(Some(Line::TooLong { head, tail })) => {
                    let bytes_max = self.lines.bytes_max;
                    warn!(self.log, "line refused: too long"; "bytes_max" => bytes_max);
                    let why = format!("a line is at most {bytes_max} bytes (MCP_MAX_LINE_BYTES)");
                    let id = unread::id_of_parts(&head, &tail).unwrap_or_else(|| "null".to_owned());
                    self.traffic.refuse(&id, &ErrorData::invalid_request(why, None));
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

#[cfg(test)]
mod tests;
