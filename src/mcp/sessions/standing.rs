//! The stream on which a session's client hears of what it did not ask: that its tools are not what they were.

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
                    let told = ServerNotification::ToolListChangedNotification(changed);
                    let told = ServerSseMessage::from_message(ServerJsonRpcMessage::notification(told));
                    Some((told, (access, known)))
                }
            }
        }
    });
    Standing { changes: Mutex::new(Box::pin(changes)), sessions, session, newest }
}

/// A stream that stands for as long as its client wants it.
pub(super) struct Standing {
    /// Locked by nobody: what is polled by one alone may be shared.
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
            // Cancelled, it has made room for a newer one.
            && !self.newest.is_cancelled()
        {
            entry.standing = None;
            entry.seen = Instant::now();
        }
    }
}
