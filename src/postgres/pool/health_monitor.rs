//! The health of the database of a generation, shared by its calls and checks: [`Health`] behind a lock, with the clock and
//! the log, and a notification for the task that tries again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use slog::Logger;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::health::{Condition, Health, Moment};
use crate::log::{info, warn};
use crate::postgres::error::QueryError;
use crate::settings::TargetSettings;

pub(super) struct HealthMonitor {
    health: Mutex<Health>,
    /// Notified when the database is not up.
    not_up: Notify,
    /// The server and user, for the log.
    target: String,
    log: Logger,
}

impl HealthMonitor {
    pub(super) fn new(target: String, log: &Logger) -> Self {
        let health = Mutex::new(Health::new(SystemTime::now()));
        Self { health, not_up: Notify::new(), target, log: log.clone() }
    }

    /// A connection was opened.
    pub(super) fn opened(&self) {
        self.change(Health::opened);
    }

    /// A connection has answered.
    pub(super) fn answered(&self) {
        self.change(Health::answered);
    }

    /// A connection could not be opened, while `open` others were open.
    pub(super) fn failed_to_open(&self, error: &QueryError, target: &TargetSettings, open: usize) {
        self.change(|health, now| health.failed_to_open(error, target, open, now));
        self.not_up.notify_one();
    }

    /// A connection did not answer.
    pub(super) fn failed_to_answer(&self) {
        self.change(Health::failed_to_answer);
        self.not_up.notify_one();
    }

    /// A connection was lost.
    pub(super) fn mark_stale(&self) {
        self.lock().mark_stale();
    }

    fn change(&self, event: impl FnOnce(&mut Health, Moment)) {
        let mut health = self.lock();
        let (before, now) = (health.state(), Moment { instant: Instant::now(), time: SystemTime::now() });
        event(&mut health, now);
        let Condition { state, why, .. } = health.condition(now.instant);
        if state == before {
            return;
        }
        match why {
            Some(why) => warn!(self.log, "database is not as it should be";
                "state" => state.as_str(), "why" => why, "target" => &self.target),
            None => info!(self.log, "database is up"; "target" => &self.target),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        self.lock().condition(Instant::now())
    }

    pub(super) fn is_older_than(&self, age: Duration) -> bool {
        self.lock().is_older_than(age, Instant::now())
    }

    pub(super) fn is_refused(&self) -> bool {
        self.lock().is_refused()
    }

    pub(super) fn can_open(&self) -> bool {
        self.lock().can_open()
    }

    /// Wait until the database is not up.
    pub(super) async fn not_up(&self) {
        self.not_up.notified().await;
    }

    /// The time until the next attempt, if one is needed; and remembers when that will be.
    pub(super) fn retry_in(&self, pause: Duration) -> Option<Duration> {
        self.lock().retry_in(pause, Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        // No code panics while it has the lock.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
