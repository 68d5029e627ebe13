//! The messages of an operator's side to the executor of a database: how it is, which calls are in flight, and to end a call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::WeakRecipient;
use actix::prelude::*;
use serde::Serialize;

use crate::postgres::catalog::role::Finding;
use crate::postgres::pool::PoolStatus;
use crate::postgres::pool::health::HealthState;
use crate::settings::AccessMode;
use crate::units::as_milliseconds;

/// Asks for the state of a database. What is known may be 15 s old; if it is older, the database is asked, and the reply waits
/// for that, a second at most. Sent for operators, load balancers and scrapers.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "DatabaseStatus")]
pub struct Status;

/// A database, for the parts that watch over it. It does not keep the executor: the executor of a removed database ends with
/// its last call.
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

/// The state of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// The pool that new calls use.
    pub pool: PoolStatus,
    /// Whether the database can be reached.
    pub state: HealthState,
    /// Since when it is in this state.
    pub since: SystemTime,
    /// What is wrong, if it is not up. It names no host, user or password; those are in the log.
    pub why: Option<String>,
    /// How long until the next try without a call, if it is not up.
    pub next_try: Option<Duration>,
    /// The access mode of the database.
    pub access: AccessMode,
    /// Pools of earlier settings that still have a running statement or an open cursor.
    pub draining: usize,
    /// The rights that the role should not have, as far as they are known.
    pub role_findings: Arc<[Finding]>,
}

/// Asks for the calls in flight, the oldest first. Sent for operators.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<CallInFlight>")]
pub struct CallsInFlight;

/// Ends a call. Its client gets the reason, and its statement is cancelled in PostgreSQL. Replies whether the call was in
/// flight at this database. Sent for an operator.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "bool")]
pub struct CancelCall {
    pub id: u64,
}

/// A call that has no answer yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallInFlight {
    /// Unique among the calls of this process, at all databases.
    pub id: u64,
    pub database: Arc<str>,
    pub client: Arc<str>,
    pub tool: &'static str,
    /// The kind of its statement; in a batch, of the current one.
    pub operation: &'static str,
    /// That statement, without its literals.
    pub sql: String,
    /// Whether it has a connection.
    pub phase: CallPhase,
    /// How long ago it came.
    #[serde(rename = "elapsed_ms", serialize_with = "as_milliseconds")]
    pub elapsed: Duration,
    /// Rows so far.
    pub rows: u64,
    /// The bytes of the rows, as PostgreSQL sends them.
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
