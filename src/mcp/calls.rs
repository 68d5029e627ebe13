//! A call of a tool, from whatever transport: to the session, and what comes of it there.

use std::pin::Pin;

use actix::Recipient;
use futures_util::FutureExt as _;
use rmcp::ErrorData;
use rmcp::model::{ProgressNotificationParam, ProgressToken};

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
    /// Present if the client wants to know how far it is. Boxed: most do not.
    ticker: Option<Box<Ticker>>,
}

/// What there is to tell of a call.
pub(super) enum CallEvent {
    /// How far it has come.
    Progress(ProgressNotificationParam),
    /// What it has come to: nothing follows. An error, if there is no such tool, or nobody to call it any more.
    Ended(Result<Reply, ErrorData>),
}

impl Calls {
    /// Calls that go to `session`.
    pub fn new(session: Recipient<Call>) -> Self {
        Self(session)
    }

    /// Call a tool, and tell of its progress if the client gave a token for that.
    pub(super) fn call(&self, call: Call, token: Option<ProgressToken>) -> RunningCall {
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
        RunningCall { reply: Box::pin(reply), ticker }
    }
}

impl RunningCall {
    /// What there is to tell next. May be dropped and called again: nothing is lost.
    pub(super) async fn next(&mut self) -> CallEvent {
        let Some(ticker) = &mut self.ticker else { return CallEvent::Ended(self.reply.as_mut().await) };
        tokio::select! {
            biased;
            reply = self.reply.as_mut() => CallEvent::Ended(reply),
            progress = ticker.next() => CallEvent::Progress(progress),
        }
    }
}

/// The error of a call that the end of the process has cut short.
pub(super) fn ending() -> ErrorData {
    ErrorData::internal_error("the server is ending", None)
}
