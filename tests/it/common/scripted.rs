//! A scripted recipient: an actor that answers nothing by itself. It hands the test each message with the means to
//! answer it, so that the test plays the neighbour of the actor under test.

use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use tokio::sync::mpsc;

/// How long a message may be on its way: far longer than any is, so that a lost one fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message that was heard. Dropping it leaves the asker without an answer, as an actor that is gone does.
pub struct Asked<M: Message> {
    pub message: M,
    asker: Option<OneshotSender<M::Result>>,
}

impl<M: Message> Asked<M> {
    /// Answer it. The asker has to be there still.
    pub fn answer(self, reply: M::Result) {
        let asker = self.asker.expect("sent by `send`, not by `do_send`");
        assert!(asker.send(reply).is_ok(), "the asker has left");
    }

    /// Wait until the asker has dropped its side.
    pub async fn dropped(mut self) {
        let asker = self.asker.as_mut().expect("sent by `send`, not by `do_send`");
        tokio::time::timeout(PATIENCE, asker.closed()).await.expect("the asker is still there");
    }
}

/// What the recipient has heard, in order.
pub struct Script<M: Message>(mpsc::UnboundedReceiver<Asked<M>>);

impl<M: Message> Script<M> {
    /// The next message.
    pub async fn next(&mut self) -> Asked<M> {
        let asked = tokio::time::timeout(PATIENCE, self.0.recv()).await.expect("nothing was asked");
        asked.expect("the recipient is gone")
    }

    /// Whether nothing has been heard since the last message taken.
    pub fn is_silent(&mut self) -> bool {
        self.0.is_empty()
    }
}

/// A recipient, and what the test hears of it.
pub fn scripted<M>() -> (Recipient<M>, Script<M>)
where
    M: Message + Send + Unpin + 'static,
    M::Result: Send,
{
    let (tell, script) = mpsc::unbounded_channel();
    (Scripted(tell).start().recipient(), Script(script))
}

struct Scripted<M: Message>(mpsc::UnboundedSender<Asked<M>>);

impl<M: Message + Unpin + 'static> Actor for Scripted<M> {
    type Context = Context<Self>;
}

impl<M: Message + Unpin + 'static> Handler<M> for Scripted<M> {
    type Result = HandOver<M>;

    fn handle(&mut self, message: M, _: &mut Context<Self>) -> HandOver<M> {
        HandOver { message, tell: self.0.clone() }
    }
}

struct HandOver<M: Message> {
    message: M,
    tell: mpsc::UnboundedSender<Asked<M>>,
}

impl<M: Message + Unpin + 'static> MessageResponse<Scripted<M>, M> for HandOver<M> {
    fn handle(self, _: &mut Context<Scripted<M>>, asker: Option<OneshotSender<M::Result>>) {
        // A test that has ended listens no more.
        let _ = self.tell.send(Asked { message: self.message, asker });
    }
}
