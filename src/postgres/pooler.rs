//! Connections through a pooler in transaction mode, such as PgBouncer's `pool_mode = transaction`.
//!
//! Such a pooler lends a backend for one transaction and then lends it to somebody else. So no session is this server's:
//! what it sets there reaches others, what others set reaches it, and a prepared statement's name may mean another's
//! statement. Behind one, every call runs in a transaction that sets up what it needs for itself
//! ([`needs`](super::needs)), and no prepared statement has a name ([`unnamed`]).
//!
//! A pooler gives its clients a process id of its own at start-up, since a cancel request must find the pooler's client;
//! PostgreSQL gives that of the backend. So the two ids differ behind a pooler, in session mode too. The modes cannot be
//! told apart safely: two transactions on the same backend prove nothing. What holds in transaction mode holds in
//! session mode as well.

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

pub use dial::{PooledDial, Stream, connect};
pub use negotiation::NegotiationError;
pub use options::settings_of;
use unnamed::Unnamed;

/// The bytes of a CancelRequest (manual, section 55.7): its length, its code, the process id, the secret key.
const CANCEL_REQUEST_BYTES: usize = 16;

/// The process id that a connection was given at start-up. The driver keeps it for cancel requests alone, so it writes
/// one, into memory. `None` if it does not.
pub async fn startup_pid(token: CancelToken) -> Option<i32> {
    let (mut ours, theirs) = duplex(4 * CANCEL_REQUEST_BYTES);
    // Where the driver asks for TLS first, this is the answer that it waits for.
    ours.write_all(b"S").await.ok()?;
    // Nothing more comes: whoever cancels waits for that.
    ours.shutdown().await.ok()?;
    token.cancel_query_raw(theirs, InMemory).await.ok()?;
    let mut written = Vec::new();
    ours.read_to_end(&mut written).await.ok()?;
    let request = written.last_chunk::<CANCEL_REQUEST_BYTES>()?;
    let (_, pid_and_key) = request.split_last_chunk::<8>()?;
    Some(i32::from_be_bytes(*pid_and_key.first_chunk()?))
}

/// Asks for the process id of the backend; the question is sent before this returns. It runs in a transaction of its
/// own, as every simple query does.
///
/// # Errors
/// The connection is closed.
pub async fn ask_backend_pid(client: &Client) -> Result<SimpleQueryStream, Error> {
    client.simple_query_raw("SELECT pg_catalog.pg_backend_pid()").await
}

/// The answer to [`ask_backend_pid`]; `None` if the server does not know the function: it is no PostgreSQL, and neither
/// is what is behind a pooler.
pub async fn backend_pid(answer: SimpleQueryStream) -> Option<i32> {
    let messages: Vec<_> = answer.try_collect().await.ok()?;
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

/// A stream in memory, in the place of TLS.
struct InMemory;

impl TlsConnect<DuplexStream> for InMemory {
    type Stream = Unnamed<Either<DuplexStream, NoTlsStream>>;
    type Error = NoTlsError;
    type Future = Ready<Result<Self::Stream, NoTlsError>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Unnamed::new(Either::Left(stream))))
    }
}
