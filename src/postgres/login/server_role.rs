//! Checks whether a server is a primary or a standby, if POSTGRES_TARGET_SESSION_ATTRS requires one of them (manual, section
//! 34.1.2, `target_session_attrs`). The driver checks whether a server accepts writes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::{LoginError, Opened, Wire};
use crate::settings::TargetSessionAttrs;

/// What a server is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerRole {
    Primary,
    Standby,
}

/// The role that a server must have in each round through the hosts; `None` if every role is accepted.
pub(super) fn rounds(attrs: TargetSessionAttrs) -> &'static [Option<ServerRole>] {
    match attrs {
        TargetSessionAttrs::Any | TargetSessionAttrs::ReadWrite | TargetSessionAttrs::ReadOnly => &[None],
        TargetSessionAttrs::Primary => &[Some(ServerRole::Primary)],
        TargetSessionAttrs::Standby => &[Some(ServerRole::Standby)],
        TargetSessionAttrs::PreferStandby => &[Some(ServerRole::Standby), None],
    }
}

/// The connection, if its server has the wanted role. The server must answer within `limit`.
///
/// # Errors
/// It has the other role, or does not say.
pub(super) async fn checked(
    (client, mut wire, config): Opened,
    wanted: ServerRole,
    limit: Duration,
) -> Result<Opened, LoginError> {
    let asked = tokio::time::timeout(limit, role(&client, &mut wire)).await;
    let silent = || LoginError::wrong_server(format!("a server did not say within {limit:?} whether it is a standby"));
    match asked.map_err(|_| silent())?? {
        Some(role) if role == wanted => Ok((client, wire, config)),
        Some(ServerRole::Primary) => Err(LoginError::wrong_server("no standby was found, but a primary".to_owned())),
        Some(ServerRole::Standby) => Err(LoginError::wrong_server("no primary was found, but a standby".to_owned())),
        None => Err(silent()),
    }
}

/// The role of the server; `None` if it does not say. No task polls the connection yet, so it is polled here.
async fn role(client: &Client, wire: &mut Wire) -> Result<Option<ServerRole>, Error> {
    let mut answer = pin!(client.simple_query("SELECT pg_catalog.pg_is_in_recovery()"));
    let messages = poll_fn(|context| {
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        loop {
            match wire.poll_message(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(Vec::new())),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    Ok(messages.await?.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(match row.get(0)? {
            "t" => ServerRole::Standby,
            _ => ServerRole::Primary,
        }),
        _ => None,
    }))
}
