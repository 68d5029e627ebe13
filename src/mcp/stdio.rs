//! Our own rmcp transport for stdio: each line is a message.
//!
//! rmcp's own transport gives no answer to a line that is not JSON, to a line that is too long, and to the second of two
//! requests with one id. It takes a known method with wrong parameters for an unknown method, and builds a tree of values from
//! the rows of an answer. Here each of these gets its answer (`unread` finds the id), calls of tools go to the session without
//! rmcp (`tool_call`), and rows are written from their bytes.
//!
//! Messages to the client are collected in one buffer, which a writer task empties. What is added while it writes is written
//! together. If a client does not read its answers, its requests are no longer read.

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
use super::unread::{self, fault};
use crate::log::{debug, warn};

mod lines;
mod traffic;

use lines::{Line, Lines};

pub use traffic::Traffic;

pub struct Stdio<R> {
    lines: Lines<R>,
    traffic: Arc<Traffic>,
    calls: Calls,
    /// Cancelled when the client has gone: its input has ended, or its output is closed.
    gone: CancellationToken,
    /// Whether a request has come. rmcp ends a session whose first message is not a request.
    opened: bool,
    log: Logger,
}

impl<R: AsyncRead + Send + Unpin + 'static> Stdio<R> {
    /// A transport over `input` and `output` that sends calls of tools by `calls`. A line has at most `line_bytes_max` bytes.
    /// `gone` is cancelled when the client has gone.
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

    /// The state of the traffic, for the part that ends the process.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// The message in a line. `None` if it has been answered here, or needs no answer.
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
        // The response to a question of ours is not for rmcp.
        let message = self.traffic.questions.take(message)?;
        match &message {
            JsonRpcMessage::Request(request) => {
                // rmcp decodes a known method as an unknown one if its parameters do not fit.
                if let ClientRequest::CustomRequest(custom) = &request.request
                    && let Some(error) = methods::parameters_error(&custom.method, self.traffic.revision().as_ref())
                {
                    self.traffic.refuse(&id_text(&request.id), &error);
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

    /// Whether a request is accepted. If not, it has been answered.
    fn begins(&self, id: &RequestId) -> bool {
        let begins = self.traffic.begin(id);
        if !begins {
            let why = "a request with this id is still in flight";
            self.traffic.refuse(&id_text(id), &ErrorData::invalid_request(why, None));
        }
        begins
    }

    /// Call a tool, in a task of its own.
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
                        // If the client has gone, the reader of its lines notices it.
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
