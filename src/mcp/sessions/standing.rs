//! The stream of a session for notifications that belong to no request: the list of tools has changed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::unfold;
use rmcp::model::{ServerJsonRpcMessage, ServerNotification, ToolListChangedNotification};
use rmcp::transport::common::server_side_http::{ServerSseMessage, SessionId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Sessions;
use crate::actors::clients::access::ClientAccess;

/// The stream of that session, until `newest` is cancelled.
pub(super) fn stream(
    sessions: Arc<Sessions>,
    session: SessionId,
    access: ClientAccess,
    newest: CancellationToken,
) -> Standing {
    let known = access.now();
    let ends = newest.clone();
    let changes = unfold((access, known), move |(mut access, mut known)| {
        let ends = ends.clone();
        async move {
            tokio::select! {
                () = ends.cancelled() => None,
                changed = access.changed(&mut known) => {
                    changed?;
                    let changed = ToolListChangedNotification::default();
                    let changed = ServerNotification::ToolListChangedNotification(changed);
                    let message = ServerSseMessage::from_message(ServerJsonRpcMessage::notification(changed));
                    Some((message, (access, known)))
                }
            }
        }
    });
    Standing { changes: Mutex::new(Box::pin(changes)), sessions, session, newest }
}

/// A stream that lasts as long as its client wants it.
pub(super) struct Standing {
    /// It is never locked, because only one task polls it. The mutex makes the type `Sync`.
    changes: Mutex<Pin<Box<dyn Stream<Item = ServerSseMessage> + Send>>>,
    sessions: Arc<Sessions>,
    session: SessionId,
    newest: CancellationToken,
}

impl Stream for Standing {
    type Item = ServerSseMessage;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ServerSseMessage>> {
        self.changes.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(context)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if let Some(entry) = self.sessions.table().get_mut(&self.session)
            // If it is cancelled, a newer stream has taken its place.
            && !self.newest.is_cancelled()
        {
            entry.standing = None;
            entry.seen = Instant::now();
        }
    }
}
