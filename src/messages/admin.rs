//! What an operator's side asks of a database's executor: how it is, what is in flight, and to end a call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::WeakRecipient;
use actix::prelude::*;
use serde::Serialize;

use crate::postgres::pool::PoolStatus;
use crate::postgres::pool::health::HealthState;
use crate::settings::AccessMode;
use crate::units::as_milliseconds;

/// Asks how a database is. What is known of it may be 15 s old; the database is asked where it is older, and the reply
/// waits for that, a second at most. Sent by whoever shows it to an operator, a load balancer or a scraper.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "DatabaseStatus")]
pub struct Status;

/// A database, as whoever watches over it asks it. It does not keep the executor: what was removed ends with its last
/// call, though somebody may watch over it until then.
#[derive(Clone)]
pub struct DatabaseProbe {
    pub name: Arc<str>,
    pub status: WeakRecipient<Status>,
    pub calls: WeakRecipient<CallsInFlight>,
    pub cancel: WeakRecipient<CancelCall>,
}

/// Asks whether the owner of the databases still answers. Sent by the watchdog of the daemon.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Ping;

/// How a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// How the pool stands that new calls go to.
    pub pool: PoolStatus,
    /// Whether the database can be reached.
    pub state: HealthState,
    /// Since when that is so.
    pub since: SystemTime,
    /// What is wrong, where it is not up; without host, user and password, which are in the log.
    pub why: Option<String>,
    /// In how long it is tried again though no call comes, where it is not up.
    pub next_try: Option<Duration>,
    /// The most that statements may do there.
    pub access: AccessMode,
    /// Pools of earlier settings on which a statement still runs or a cursor waits.
    pub draining: usize,
}

/// Asks for the calls in flight, the oldest first. Sent by whoever shows them to an operator.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<CallInFlight>")]
pub struct CallsInFlight;

/// Ends a call: its client is told that an operator wanted that, and its statement is cancelled in PostgreSQL. Replies
/// whether there was such a call at this database. Sent on behalf of an operator.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "bool")]
pub struct CancelCall {
    pub id: u64,
}

/// A call that has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallInFlight {
    /// Of no other call in this process, at whatever database.
    pub id: u64,
    pub database: Arc<str>,
    pub client: Arc<str>,
    pub tool: &'static str,
    /// What kind of statement it is; of a batch, its current one.
    pub operation: &'static str,
    /// That statement, without its literals.
    pub sql: String,
    /// Whether it has a connection.
    pub phase: CallPhase,
    /// Since it came.
    #[serde(rename = "elapsed_ms", serialize_with = "as_milliseconds")]
    pub elapsed: Duration,
    /// Rows that have come so far.
    pub rows: u64,
    /// Their bytes, as PostgreSQL sends them.
    pub bytes: u64,
}

/// What a call is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallPhase {
    /// It waits for a connection.
    Waiting,
    /// It has one.
    Running,
}
