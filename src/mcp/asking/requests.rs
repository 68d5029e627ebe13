//! Asking by a request to the client while the call runs: 2025-06-18 and 2025-11-25.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rmcp::model::RequestId;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::pending::{ClientResponse, PendingQuestions, QuestionEvent};
use super::{outcome, parameters};
use crate::messages::ask::{AskClient, Asked, Asking, AskingCall, CannotAsk, Question};

/// The client of a call, as its tool asks it.
#[derive(Debug)]
pub(super) struct RequestClient(mpsc::UnboundedSender<NewQuestion>);

/// A question on its way from the tool to the transport.
#[derive(Debug)]
struct NewQuestion {
    parameters: Value,
    /// Where the response is to go.
    responded: oneshot::Sender<ClientResponse>,
    /// Closed when the tool does not wait any more.
    waits: oneshot::Receiver<()>,
}

/// The questions of one call, as its transport sees them. Dropped, all of them are forgotten.
pub(in crate::mcp) struct Questions {
    call: RequestId,
    pending: Arc<PendingQuestions>,
    new: mpsc::UnboundedReceiver<NewQuestion>,
    open: Vec<OpenQuestion>,
}

/// A question that was sent, as long as its tool waits.
struct OpenQuestion {
    id: String,
    waits: oneshot::Receiver<()>,
    pending: Arc<PendingQuestions>,
}

/// The two ends of the way to the client of that call. `pending` are the questions to this client.
pub(super) fn of_call(call: RequestId, pending: Arc<PendingQuestions>) -> (RequestClient, Questions) {
    let (ask, new) = mpsc::unbounded_channel();
    (RequestClient(ask), Questions { call, pending, new, open: Vec::new() })
}

impl AskClient for RequestClient {
    fn can_be_asked(&self) -> Result<(), CannotAsk> {
        Ok(())
    }

    fn ask<'a>(&'a self, _: AskingCall<'a>, _: &'a str, question: &'a Question) -> Asking<'a> {
        Box::pin(async move {
            let (responded, response) = oneshot::channel();
            let (_waiting, waits) = oneshot::channel();
            // If nobody takes it, `responded` is dropped with it.
            let _ = self.0.send(NewQuestion { parameters: parameters(question), responded, waits });
            match response.await {
                Ok(Ok(result)) => {
                    outcome(&result, question).unwrap_or_else(|misfit| Asked::CannotAsk(CannotAsk::Unusable(misfit)))
                }
                Ok(Err(error)) => Asked::CannotAsk(CannotAsk::Failed(format!("{} ({})", error.message, error.code.0))),
                Err(_) => Asked::CannotAsk(CannotAsk::Gone),
            }
        })
    }
}

impl Questions {
    /// What is to be sent next. Never ready when the call asks nothing. May be dropped and called again: nothing is lost.
    pub(in crate::mcp) async fn next(&mut self) -> QuestionEvent {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The end of a question that has no response when the call has ended.
    pub(in crate::mcp) fn withdraw(&mut self) -> Option<QuestionEvent> {
        std::iter::from_fn(|| self.open.pop()).find_map(OpenQuestion::end)
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<QuestionEvent> {
        let mut at = 0;
        while at < self.open.len() {
            if Pin::new(&mut self.open[at].waits).poll(context).is_pending() {
                at += 1;
            } else if let Some(withdrawn) = self.open.swap_remove(at).end() {
                return Poll::Ready(withdrawn);
            }
        }
        match self.new.poll_recv(context) {
            Poll::Ready(Some(NewQuestion { parameters, responded, waits })) => {
                let id = self.pending.add(self.call.clone(), responded);
                self.open.push(OpenQuestion { id: id.clone(), waits, pending: self.pending.clone() });
                Poll::Ready(QuestionEvent::Ask { id, parameters })
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl OpenQuestion {
    /// The tool does not wait any more: what the client has to know of that, if it has not responded.
    fn end(self) -> Option<QuestionEvent> {
        self.pending.remove(&self.id).then(|| QuestionEvent::Withdraw { id: self.id.clone() })
    }
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.pending.remove(&self.id);
    }
}
