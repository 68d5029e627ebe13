//! One client of the daemon: its access, its session, and its rate of requests.
//!
//! If the daemon uses tokens, a client is a token, on any number of connections. Otherwise a client is a connection,
//! with the MCP sessions that it has opened. A client ends with its last owner, or when its token is removed: then all
//! of its calls are cancelled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Recipient;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::access::ClientAccess;
use crate::caller::Caller;
use crate::messages::call::Call;
use crate::messages::in_flight::InFlight;

/// A client may save up the requests of this many seconds and send them at once.
const BURST_S: f64 = 2.0;

pub struct Client {
    pub caller: Caller,
    /// Its session actor, which ends with the client.
    pub session: Recipient<Call>,
    /// What it may do.
    pub access: ClientAccess,
    /// Whether it may see and cancel the calls of all clients.
    pub is_operator: bool,
    /// Cancelled when its token is removed, or when the process ends.
    pub ending: CancellationToken,
    /// Its calls in flight.
    pub in_flight: InFlight,
    bucket: Mutex<Option<Bucket>>,
    _count: ClientCount,
}

/// Counts the clients that exist: each of them owns a clone.
#[derive(Clone, Default)]
pub struct ClientCount(Arc<()>);

impl ClientCount {
    /// The number of clients, except for the clones of those who count.
    pub fn others(&self) -> usize {
        Arc::strong_count(&self.0) - COUNTERS
    }
}

/// The clones that belong to no client: those of the registry and of the admin state.
const COUNTERS: usize = 2;

/// A token bucket: the number of requests that the client may still send.
struct Bucket {
    requests: f64,
    at: Instant,
}

impl Client {
    /// A client that has sent no request yet.
    pub fn new(
        caller: Caller,
        session: Recipient<Call>,
        access: ClientAccess,
        is_operator: bool,
        ending: CancellationToken,
        count: ClientCount,
    ) -> Self {
        let (in_flight, bucket) = (InFlight::default(), Mutex::new(None));
        Self { caller, session, access, is_operator, ending, in_flight, bucket, _count: count }
    }

    /// Counts a request against the limit of `rate` requests a second. 0 means no limit.
    ///
    /// # Errors
    /// How long to wait until a request is allowed.
    pub fn count(&self, rate: u32) -> Result<(), Duration> {
        if rate == 0 {
            return Ok(());
        }
        let (rate, now) = (f64::from(rate), Instant::now());
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = bucket.get_or_insert(Bucket { requests: rate * BURST_S, at: now });
        bucket.requests = (bucket.requests + (now - bucket.at).as_secs_f64() * rate).min(rate * BURST_S);
        bucket.at = now;
        if bucket.requests < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.requests) / rate));
        }
        bucket.requests -= 1.0;
        Ok(())
    }
}
