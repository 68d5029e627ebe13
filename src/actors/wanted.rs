//! A reply that is worked on only while somebody waits for it: how a cancellation travels between actors.
//!
//! A `ResponseFuture` runs to its end even when the caller has dropped its `send`. Here the caller's drop closes the
//! reply channel, which drops the future, which drops whatever that future holds: the next actor's `send`, or the
//! lease on a connection, whose `Drop` cancels the statement in PostgreSQL. No message says "cancel".

use std::pin::Pin;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;

/// The answer of a handler whose work is dropped when the asker stops waiting. Sent by `do_send` (where nobody ever
/// waits) the work runs to its end.
pub struct WhileWanted<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> WhileWanted<T> {
    /// Work on `reply` until it is ready or unwanted, whichever comes first.
    pub fn new(reply: impl Future<Output = T> + 'static) -> Self {
        Self(Box::pin(reply))
    }
}

impl<A, M> MessageResponse<A, M> for WhileWanted<M::Result>
where
    A: Actor,
    M: Message,
{
    fn handle(self, _: &mut A::Context, asker: Option<OneshotSender<M::Result>>) {
        actix_rt::spawn(async move {
            let Some(mut asker) = asker else {
                self.0.await;
                return;
            };
            let reply = tokio::select! {
                biased;
                () = asker.closed() => None,
                reply = self.0 => Some(reply),
            };
            if let Some(reply) = reply {
                // Refused only when the asker left in this very moment: then there is nobody to tell.
                let _ = asker.send(reply);
            }
        });
    }
}
