//! A reply whose work stops when nobody waits for it any more. This is how a cancellation passes from actor to actor.
//!
//! A `ResponseFuture` runs to its end even if the sender has dropped its request. Here that drop closes the reply
//! channel, which drops the future and everything that it owns: the request to the next actor, or the lease of a
//! connection, whose drop cancels the statement in PostgreSQL. There is no message "cancel".

use std::pin::Pin;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;

/// The reply of a handler. Its work is dropped when the sender of the message stops waiting. A message that was sent by
/// `do_send` has no waiting sender: its work runs to its end.
pub struct WhileWanted<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> WhileWanted<T> {
    /// Runs `reply` until it is ready or until nobody waits for it, whichever comes first.
    pub fn new(reply: impl Future<Output = T> + 'static) -> Self {
        Self(Box::pin(reply))
    }
}

impl<A, M> MessageResponse<A, M> for WhileWanted<M::Result>
where
    A: Actor,
    M: Message,
{
    fn handle(self, _: &mut A::Context, sender: Option<OneshotSender<M::Result>>) {
        actix_rt::spawn(async move {
            let Some(mut sender) = sender else {
                self.0.await;
                return;
            };
            let reply = tokio::select! {
                biased;
                () = sender.closed() => None,
                reply = self.0 => Some(reply),
            };
            if let Some(reply) = reply {
                // An error means that the sender has stopped waiting at this moment.
                let _ = sender.send(reply);
            }
        });
    }
}
