//! The part of a pool that a generation and its leases share: the connections, the queue in front of them, and the
//! health of the database. It lives until the last owner is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use deadpool::managed::{self, PoolError, TimeoutType, Timeouts};
use slog::Logger;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::ceiling::Ceiling;
use super::connect::{self, Connector};
use super::fair_queue::FairQueue;
use super::health_monitor::HealthMonitor;
use super::live::LiveSettings;
use super::place::with_place;
use crate::log::{info, warn};
use crate::postgres::error::{Clock, Phase, QueryError, causes};
use crate::settings::{AccessMode, ClockSettings, PoolSettings, TargetSettings};

pub(super) type Pool = managed::Pool<Connector>;

pub(super) type Object = managed::Object<Connector>;

/// The part of a pool that a generation and its leases share.
pub(super) struct SharedPool {
    /// The number of the generation: 1 for the first since the process started.
    pub(super) number: u64,
    /// The server and user of its connections.
    pub(super) target: Arc<TargetSettings>,
    /// The same for the log, and never for a model.
    pub(super) target_name: Arc<str>,
    /// In read-only mode every transaction on its connections is READ ONLY by default.
    pub(super) access: AccessMode,
    pub(super) live: Arc<LiveSettings>,
    pub(super) pool: Pool,
    pub(super) queue: Arc<FairQueue>,
    /// The limit of the server, if it is lower than the settings ask for.
    pub(super) ceiling: Mutex<Ceiling>,
    pub(super) health: Arc<HealthMonitor>,
    /// Locked during a check of the database, so that there is one check at a time and the others wait for its result.
    pub(super) probing: tokio::sync::Mutex<()>,
    /// Another generation serves now: unused connections are closed.
    pub(super) is_retired: AtomicBool,
    /// Counts the leases, and the connections that are being cleaned or cancelled after their call.
    pub(super) endings: TaskTracker,
    pub(super) log: Logger,
}

/// The numbers of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    pub generation: u64,
    /// The largest number of connections: that of the settings, or that of the server if it is lower.
    pub size_max: usize,
    /// Open connections.
    pub size: usize,
    /// Idle ones among the open connections.
    pub idle: usize,
    /// Calls that wait for a connection.
    pub waiting: usize,
}

/// A replaced generation, as long as something runs on it.
pub struct Draining(pub(super) Weak<SharedPool>);

impl Draining {
    /// Whether nothing runs on it any more and its connections are closed.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl SharedPool {
    /// Takes an idle connection from the pool, or opens one.
    pub(super) async fn connect(&self) -> Result<Object, QueryError> {
        let connect_timeout = self.live.clocks().connect_timeout;
        // With several hosts, each has this time limit, which the login measures.
        let create =
            Some(connect_timeout * self.target.tries_max() as u32 + self.target.password_timeout(connect_timeout));
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
                    PoolError::Backend(error) => connect::query_error(&error, &self.target_name),
                    other => QueryError::Unavailable {
                        why: format!("could not connect to PostgreSQL: {}", causes(&other)),
                        phase: Phase::Connect,
                        target: self.target_name.to_string(),
                        outcome_unknown: false,
                    },
                };
                self.health.failed_to_open(&error, &self.target, self.pool.status().size);
                Err(with_place(error, &self.target).await)
            }
        }
    }

    pub(super) fn ceiling(&self) -> MutexGuard<'_, Ceiling> {
        // No code panics while it has the lock.
        self.ceiling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has refused another connection: the pool keeps the open ones.
    pub(super) fn lower_ceiling(&self, error: &QueryError) {
        let (size, wanted) = (self.pool.status().size, self.live.pool().size);
        let allowed = self.ceiling().refused(size, Instant::now());
        warn!(self.log, "the server takes no more connections: calls wait for those that there are";
            "connections" => allowed, "wanted" => wanted, "why" => error.to_string());
        self.queue.resize(allowed);
    }

    /// Tries as many connections as the settings ask for again, if it is time for that or if the server is known to
    /// accept one.
    pub(super) fn lift_ceiling(&self, takes_more: bool) {
        if self.ceiling().is_lifted(Instant::now(), takes_more) {
            self.queue.resize(self.live.pool().size);
        }
    }

    pub(super) fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            generation: self.number,
            size_max: self.ceiling().lowered().unwrap_or(status.max_size),
            size: status.size,
            idle: status.available,
            waiting: self.queue.waiting(),
        }
    }

    /// Change the size and the timeouts. Returns whether anything has changed.
    pub(super) fn change(&self, pool: PoolSettings, clocks: ClockSettings) -> bool {
        let is_changed = self.live.set(pool, clocks);
        // The pool first: a call with a permit must find room in it.
        self.pool.resize(pool.size);
        if is_changed {
            *self.ceiling() = Ceiling::new();
            self.queue.resize(pool.size);
        }
        is_changed
    }

    /// Another generation serves now: close the idle connections, and each other one when it comes back.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        self.close_unused();
    }

    /// Whether a connection that comes back now will be used again.
    pub(super) fn wants_connections(&self) -> bool {
        !self.is_retired.load(Ordering::Relaxed) || self.queue.waiting() > 0
    }

    /// Close the idle connections if nobody will use them again.
    pub(super) fn close_unused(&self) {
        if !self.wants_connections() {
            self.pool.retain(|_, _| false);
        }
    }

    /// Close the idle connections: they may not work any more.
    pub(super) fn invalidate_idle(&self, why: &str) {
        let idle = self.pool.retain(|_, _| false).removed.len();
        warn!(self.log, "idle connections thrown away"; "why" => why, "idle" => idle);
    }
}

impl Drop for SharedPool {
    fn drop(&mut self) {
        info!(self.log, "pool closed"; "connections" => self.pool.status().size);
    }
}
