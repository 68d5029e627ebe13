//! A call of a tool, from any transport: to the client's session, and what the transport has to send for it.

use std::future::pending;
use std::pin::Pin;

use actix::Recipient;
use futures_util::FutureExt as _;
use rmcp::ErrorData;
use rmcp::model::{ProgressNotificationParam, ProgressToken};

use super::asking::{QuestionEvent, Questions};
use super::progress::Ticker;
use crate::messages::answer::{Answer, Reply};
use crate::messages::call::{Call, CallError};
use crate::tools;

/// The way to one client's session.
#[derive(Clone)]
pub struct Calls(Recipient<Call>);

/// A call under way. Dropped before its end, it is cancelled.
pub(super) struct RunningCall {
    reply: Pin<Box<dyn Future<Output = Result<Reply, ErrorData>> + Send>>,
    /// What it has come to, while its last questions are withdrawn.
    ended: Option<Result<Reply, ErrorData>>,
    /// Present if the client wants to know how far it is. Boxed: most do not.
    ticker: Option<Box<Ticker>>,
    /// Present if the client can be asked while the call runs. Boxed: most cannot.
    questions: Option<Box<Questions>>,
}

/// What a transport has to send for a call.
pub(super) enum CallEvent {
    /// How far it has come.
    Progress(ProgressNotificationParam),
    /// A question to the client, or the end of one.
    Question(QuestionEvent),
    /// What it has come to: nothing follows. An error, if there is no such tool, or its session has ended.
    Ended(Result<Reply, ErrorData>),
}

impl Calls {
    /// Calls that go to `session`.
    pub fn new(session: Recipient<Call>) -> Self {
        Self(session)
    }

    /// Call a tool. The transport has to send its progress, if the client gave a token for that, and its questions, if there
    /// may be any.
    pub(super) fn call(&self, call: Call, token: Option<ProgressToken>, questions: Option<Questions>) -> RunningCall {
        let ticker = token.map(|token| Box::new(Ticker::new(token, call.progress.clone())));
        let reply = self.0.send(call).map(|reply| match reply {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(CallError::UnknownTool { name })) => {
                let why = format!("there is no tool {name:?}; there are {}", tools::names().join(", "));
                Err(ErrorData::invalid_params(why, None))
            }
            Ok(Err(CallError::Busy(busy))) => Ok(Answer::busy(busy).into()),
            Err(_) => Err(ending()),
        });
        RunningCall { reply: Box::pin(reply), ended: None, ticker, questions: questions.map(Box::new) }
    }
}

impl RunningCall {
    /// What is to be sent next. May be dropped and called again: nothing is lost.
    pub(super) async fn next(&mut self) -> CallEvent {
        let Self { reply, ended, ticker, questions } = self;
        if ended.is_none() {
            let question = async {
                match questions {
                    Some(questions) => questions.next().await,
                    None => pending().await,
                }
            };
            let progress = async {
                match ticker {
                    Some(ticker) => ticker.next().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                reply = reply.as_mut() => *ended = Some(reply),
                question = question => return CallEvent::Question(question),
                progress = progress => return CallEvent::Progress(progress),
            }
        }
        match self.questions.as_mut().and_then(|questions| questions.withdraw()) {
            Some(withdrawn) => CallEvent::Question(withdrawn),
            None => CallEvent::Ended(self.ended.take().unwrap_or_else(|| Err(ending()))),
        }
    }
}

/// The error of a call that the end of the process has cut short.
pub(super) fn ending() -> ErrorData {
    ErrorData::internal_error("the server is ending", None)
}
