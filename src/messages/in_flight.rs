//! How many calls one client has in flight, counted together on all transports.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::postgres::error::BUSY_RETRY;

/// How many calls a client has in flight. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<AtomicUsize>);

/// One call in flight, until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct InFlightPermit {
    _counted: Arc<Counted>,
}

#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

/// The client has as many calls in flight as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// The value of MCP_MAX_IN_FLIGHT.
    pub in_flight_max: usize,
}

impl InFlight {
    /// Count one more, if there are fewer than `in_flight_max`.
    ///
    /// # Errors
    /// There are so many.
    pub fn permit(&self, in_flight_max: usize) -> Result<InFlightPermit, Busy> {
        let counted = Counted(self.0.clone());
        match self.0.fetch_add(1, Ordering::Relaxed) < in_flight_max {
            true => Ok(InFlightPermit { _counted: Arc::new(counted) }),
            false => Err(Busy { in_flight_max }),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_flight_max } = self;
        write!(
            f,
            "Busy: {in_flight_max} requests of this client are in flight already (MCP_MAX_IN_FLIGHT). \
             Try again in {BUSY_RETRY:?}, or when one of them is answered."
        )
    }
}
