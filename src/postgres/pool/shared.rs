//! What a generation and its leases have in common: the pool itself, the queue in front of it, and what is known of its
//! database. It lives until the last of them has gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use deadpool::managed::{self, PoolError, TimeoutType, Timeouts};
use slog::Logger;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use super::connect::Connector;
use super::fair_queue::FairQueue;
use super::health::Health;
use super::live::LiveSettings;
use crate::log::{info, warn};
use crate::postgres::error::{Clock, Phase, QueryError, causes};
use crate::settings::{AccessMode, ClockSettings, PoolSettings, TargetSettings};

pub(super) type Pool = managed::Pool<Connector>;

pub(super) type Object = managed::Object<Connector>;

/// The part of a pool that generation and leases share.
pub(super) struct Shared {
    /// 1 for the first generation since the process started.
    pub(super) number: u64,
    /// Where its connections lead.
    pub(super) target: Arc<TargetSettings>,
    /// The same for the log, and never for a model.
    pub(super) target_name: Arc<str>,
    /// In read-only mode a transaction on its connections is READ ONLY even if nobody has begun it.
    pub(super) access: AccessMode,
    pub(super) live: Arc<LiveSettings>,
    pub(super) pool: Pool,
    pub(super) queue: Arc<FairQueue>,
    pub(super) health: Arc<Health>,
    /// Held by the one that asks whether the database can be reached; others that want to know wait for that.
    pub(super) asking: tokio::sync::Mutex<()>,
    pub(super) tls: MakeRustlsConnect,
    /// What every connection is told first, and again after each cleaning, together with the nets of the clocks.
    pub(super) session: Arc<str>,
    /// Another generation serves by now: connections that nobody uses are closed.
    pub(super) is_retired: AtomicBool,
    /// The leases, and the connections that are being cleaned or cancelled after their call has ended.
    pub(super) endings: TaskTracker,
    pub(super) log: Logger,
}

/// How a pool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    pub generation: u64,
    /// Connections there may be.
    pub size_max: usize,
    /// Connections there are.
    pub size: usize,
    /// Of these, idle.
    pub idle: usize,
    /// Calls that wait for one.
    pub waiting: usize,
}

/// A generation that was replaced, for as long as something runs on it.
pub struct Draining(pub(super) Weak<Shared>);

impl Draining {
    /// Nothing runs on it any more, and its connections are closed.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Shared {
    /// A connection of the pool: an idle one, or a new one.
    pub(super) async fn connect(&self) -> Result<Object, QueryError> {
        let connect_timeout = self.live.clocks().connect_timeout;
        // Of several hosts each has its time, which the driver sees to.
        let create = Some(connect_timeout * self.target.hosts.len().max(1) as u32);
        match self.pool.timeout_get(&Timeouts { create, ..Timeouts::default() }).await {
            Ok(connection) => {
                if Object::metrics(&connection).recycle_count == 0 {
                    self.health.opened();
                }
                Ok(connection)
            }
            Err(error) => {
                let error = match error {
                    PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                        QueryError::TimedOut { clock: Clock::Connect, after: connect_timeout }
                    }
                    PoolError::Backend(error) => QueryError::of(&error, "", Phase::Connect, &self.target_name),
                    other => QueryError::Unavailable {
                        why: format!("could not connect to PostgreSQL: {}", causes(&other)),
                        phase: Phase::Connect,
                        target: self.target_name.to_string(),
                        outcome_unknown: false,
                    },
                };
                self.health.has_not_opened(&error, &self.target, self.pool.status().size);
                Err(error)
            }
        }
    }

    pub(super) fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            generation: self.number,
            size_max: status.max_size,
            size: status.size,
            idle: status.available,
            waiting: self.queue.waiting(),
        }
    }

    /// These sizes and clocks are in force from now on. Whether they are others than before.
    pub(super) fn change(&self, pool: PoolSettings, clocks: ClockSettings) -> bool {
        let is_changed = self.live.set(pool, clocks);
        // The pool first: who gets a permit must find room there.
        self.pool.resize(pool.size);
        self.queue.resize(pool.size);
        is_changed
    }

    /// Another generation serves: close the idle connections, and each other one when it comes back.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        self.close_unused();
    }

    /// Whether a connection that comes back now would be used again.
    pub(super) fn wants_connections(&self) -> bool {
        !self.is_retired.load(Ordering::Relaxed) || self.queue.waiting() > 0
    }

    /// Close the idle connections if nobody will use them again.
    pub(super) fn close_unused(&self) {
        if !self.wants_connections() {
            self.pool.retain(|_, _| false);
        }
    }

    /// Throw the idle connections away.
    pub(super) fn distrust(&self, why: &str) {
        let idle = self.pool.retain(|_, _| false).removed.len();
        warn!(self.log, "idle connections thrown away"; "why" => why, "idle" => idle);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        info!(self.log, "pool closed"; "connections" => self.pool.status().size);
    }
}
