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
    /// Closed when the tool does not wait any more.
    responded: oneshot::Sender<ClientResponse>,
}

/// The questions of one call, as its transport sees them. Dropped, all of them are forgotten.
pub(in crate::mcp) struct Questions {
    call: RequestId,
    pending: Arc<PendingQuestions>,
    new: mpsc::UnboundedReceiver<NewQuestion>,
    open: Vec<OpenQuestion>,
}

struct OpenQuestion {
    id: String,
    /// From the client.
    response: oneshot::Receiver<ClientResponse>,
    /// To the tool; none if the response has been passed on.
    responded: Option<oneshot::Sender<ClientResponse>>,
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
            // If nobody takes it, `responded` is dropped with it.
            let _ = self.0.send(NewQuestion { parameters: parameters(question), responded });
            match response.await {
                Ok(Ok(result)) => outcome(&result, question)
                    .unwrap_or_else(|misfit| Asked::CannotAsk(CannotAsk::Unusable(misfit))),
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

    /// The end of a question that is still open when the call has ended.
    pub(in crate::mcp) fn withdraw(&mut self) -> Option<QuestionEvent> {
        self.open.pop().map(|question| QuestionEvent::Withdraw { id: question.id.clone() })
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<QuestionEvent> {
        let mut at = 0;
        while at < self.open.len() {
            match self.open[at].poll_end(context) {
                Poll::Pending => at += 1,
                Poll::Ready(is_withdrawn) => {
                    let question = self.open.swap_remove(at);
                    if is_withdrawn {
                        return Poll::Ready(QuestionEvent::Withdraw { id: question.id.clone() });
                    }
                }
            }
        }
        match self.new.poll_recv(context) {
            Poll::Ready(Some(NewQuestion { parameters, responded })) => {
                let (id, response) = self.pending.add(self.call.clone());
                let (pending, responded) = (self.pending.clone(), Some(responded));
                self.open.push(OpenQuestion { id: id.clone(), response, responded, pending });
                // The next poll waits for its response.
                Poll::Ready(QuestionEvent::Ask { id, parameters })
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl OpenQuestion {
    /// Ready when the response has been passed on (false), or nobody waits for it any more (true).
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if let Poll::Ready(response) = Pin::new(&mut self.response).poll(context) {
            if let (Ok(response), Some(responded)) = (response, self.responded.take()) {
                let _ = responded.send(response);
            }
            return Poll::Ready(false);
        }
        match &mut self.responded {
            Some(responded) => responded.poll_closed(context).map(|()| true),
            None => Poll::Ready(false),
        }
    }
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.pending.remove(&self.id);
    }
}
