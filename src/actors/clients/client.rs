//! One client of the daemon: what it may do, its session, and how much it asks.
//!
//! With tokens a client is a token, on however many connections. Without, it is a connection, and whatever that opened.
//! It ends when nobody holds it any more, or when its token is taken away: then all that it has in flight is cancelled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Recipient;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::access::ClientAccess;
use crate::caller::Caller;
use crate::messages::call::Call;
use crate::messages::in_flight::InFlight;

/// How many seconds' worth of requests a client may make at once.
const BURST_S: f64 = 2.0;

pub struct Client {
    pub caller: Caller,
    /// Its session, which ends with it.
    pub session: Recipient<Call>,
    /// What it may do.
    pub access: ClientAccess,
    /// Whether it may see what everybody does, and cancel it.
    pub is_operator: bool,
    /// Cancelled when its token is taken away, or the process ends.
    pub ending: CancellationToken,
    /// What it has in flight.
    pub in_flight: InFlight,
    bucket: Mutex<Option<Bucket>>,
    _here: ClientCount,
}

/// Says that a client is here, for whoever counts them.
#[derive(Clone, Default)]
pub struct ClientCount(Arc<()>);

impl ClientCount {
    /// How many clients there are, where this is the counter's own.
    pub fn others(&self) -> usize {
        Arc::strong_count(&self.0) - COUNTERS
    }
}

/// Who has one and is no client: the registry, and what operators see of the server.
const COUNTERS: usize = 2;

/// A bucket of requests that a client may still make, which fills by itself.
struct Bucket {
    requests: f64,
    at: Instant,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(
        caller: Caller,
        session: Recipient<Call>,
        access: ClientAccess,
        is_operator: bool,
        ending: CancellationToken,
        here: ClientCount,
    ) -> Self {
        let (in_flight, bucket) = (InFlight::default(), Mutex::new(None));
        Self { caller, session, access, is_operator, ending, in_flight, bucket, _here: here }
    }

    /// Count a request against `rate`, requests a second; 0 is no limit.
    ///
    /// # Errors
    /// When the next one will be taken.
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
