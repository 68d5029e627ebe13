//! Connections through a pooler in transaction mode, such as PgBouncer with `pool_mode = transaction`.
//!
//! Such a pooler lends a backend for one transaction and then lends it to another client. So the session does not
//! belong to this server: settings that it makes would reach other clients, settings of other clients reach it, and the
//! name of a prepared statement may mean a statement of another client. Therefore every call runs in a transaction that
//! makes its own settings ([`needs`](super::needs)), and no prepared statement has a name ([`unnamed`]).
//!
//! At start-up PostgreSQL sends the process ID of the backend. A pooler sends an ID of its own, because a cancel
//! request must find the client of the pooler. So the two IDs differ behind a pooler, in session mode too. The two
//! modes cannot be distinguished safely: two transactions on the same backend prove nothing. Everything that works in
//! transaction mode works in session mode too.

use std::future::{Ready, ready};

use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_postgres::tls::{NoTlsError, NoTlsStream, TlsConnect};
use tokio_postgres::{CancelToken, Client, Error, SimpleQueryMessage, SimpleQueryStream};
use tokio_util::either::Either;

mod dial;
mod negotiation;
mod options;
mod unnamed;

pub use dial::{Stream, connect, negotiation_of};
pub use negotiation::{Negotiation, NegotiationError};
pub use options::settings_of;
use unnamed::Unnamed;

/// The size of a CancelRequest (manual, section 55.7): its length, its code, the process ID and the secret key.
const CANCEL_REQUEST_BYTES: usize = 16;

/// The process ID that a connection received at start-up. The driver keeps it only for cancel requests, so it writes
/// such a request to memory, and the ID is read from there. `None` if it cannot.
pub async fn startup_pid(token: CancelToken) -> Option<i32> {
    let (mut ours, theirs) = duplex(4 * CANCEL_REQUEST_BYTES);
    // If the driver first asks for TLS, this is the answer that it waits for.
    ours.write_all(b"S").await.ok()?;
    token.cancel_query_raw(theirs, InMemory).await.ok()?;
    let mut written = Vec::new();
    ours.read_to_end(&mut written).await.ok()?;
    let request = written.last_chunk::<CANCEL_REQUEST_BYTES>()?;
    let (_, pid_and_key) = request.split_last_chunk::<8>()?;
    Some(i32::from_be_bytes(*pid_and_key.first_chunk()?))
}

/// Asks for the process ID of the backend. The question is sent before this returns. Like every simple query it runs in
/// a transaction of its own.
///
/// # Errors
/// The connection is closed.
pub async fn ask_backend_pid(client: &Client) -> Result<SimpleQueryStream, Error> {
    client.simple_query_raw("SELECT pg_catalog.pg_backend_pid()").await
}

/// The answer to [`ask_backend_pid`]. `None` if it is not a process ID.
///
/// # Errors
/// The connection has ended, or the server does not know the function. In the second case neither the server nor what is
/// behind a pooler is PostgreSQL.
pub async fn backend_pid(answer: SimpleQueryStream) -> Result<Option<i32>, Error> {
    let messages: Vec<_> = answer.try_collect().await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}

/// A stream in memory, used instead of TLS.
struct InMemory;

impl TlsConnect<DuplexStream> for InMemory {
    type Stream = Unnamed<Either<DuplexStream, NoTlsStream>>;
    type Error = NoTlsError;
    type Future = Ready<Result<Self::Stream, NoTlsError>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Unnamed::new(Either::Left(stream))))
    }
}
