//! A scripted recipient: an actor that sends no reply by itself. It hands each message to the test, and the test
//! replies. So the test plays the other actors of the actor under test.

use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use tokio::sync::mpsc;

/// How long to wait for a message. It is much longer than any message takes, so that a lost message fails and does not
/// hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A received message. If it is dropped, its sender gets no reply, as from an actor that has ended.
pub struct Asked<M: Message> {
    pub message: M,
    sender: Option<OneshotSender<M::Result>>,
}

impl<M: Message> Asked<M> {
    /// Replies to it. The sender must still wait.
    pub fn answer(self, reply: M::Result) {
        let sender = self.sender.expect("sent by `send`, not by `do_send`");
        assert!(sender.send(reply).is_ok(), "the sender does not wait");
    }

    /// Waits until the sender does not wait any more.
    pub async fn dropped(mut self) {
        let sender = self.sender.as_mut().expect("sent by `send`, not by `do_send`");
        tokio::time::timeout(PATIENCE, sender.closed()).await.expect("the sender still waits");
    }
}

/// The received messages in their order.
pub struct Script<M: Message>(mpsc::UnboundedReceiver<Asked<M>>);

impl<M: Message> Script<M> {
    /// Waits for the next message.
    pub async fn next(&mut self) -> Asked<M> {
        let asked = tokio::time::timeout(PATIENCE, self.0.recv()).await.expect("no message came");
        asked.expect("the recipient has ended")
    }

    /// Whether no message has come since the last one that was taken.
    pub fn is_silent(&mut self) -> bool {
        self.0.is_empty()
    }
}

/// A recipient and the messages that it receives.
pub fn scripted<M>() -> (Recipient<M>, Script<M>)
where
    M: Message + Send + Unpin + 'static,
    M::Result: Send,
{
    let (messages, script) = mpsc::unbounded_channel();
    (Scripted(messages).start().recipient(), Script(script))
}

struct Scripted<M: Message>(mpsc::UnboundedSender<Asked<M>>);

impl<M: Message + Unpin + 'static> Actor for Scripted<M> {
    type Context = Context<Self>;
}

impl<M: Message + Unpin + 'static> Handler<M> for Scripted<M> {
    type Result = ForwardToTest<M>;

    fn handle(&mut self, message: M, _: &mut Context<Self>) -> ForwardToTest<M> {
        ForwardToTest { message, messages: self.0.clone() }
    }
}

struct ForwardToTest<M: Message> {
    message: M,
    messages: mpsc::UnboundedSender<Asked<M>>,
}

impl<M: Message + Unpin + 'static> MessageResponse<Scripted<M>, M> for ForwardToTest<M> {
    fn handle(self, _: &mut Context<Scripted<M>>, sender: Option<OneshotSender<M::Result>>) {
        // A test that has ended takes no more messages.
        let _ = self.messages.send(Asked { message: self.message, sender });
    }
}
