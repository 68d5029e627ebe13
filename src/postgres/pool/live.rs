//! The settings of a pool that may change while it serves: its size and its clocks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::settings::{ClockSettings, PoolSettings};

/// What the clocks of PostgreSQL have more than ours, in milliseconds: they are the nets that hold when this server is no
/// longer there to cancel.
const STATEMENT_NET_MS: u128 = 1000;
const IDLE_NET_MS: u128 = 60_000;

/// What is in force now.
pub(super) struct LiveSettings(Mutex<Current>);

/// What was in force at one moment.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) pool: PoolSettings,
    pub(super) clocks: ClockSettings,
    /// The statements that give a session the nets of these clocks.
    pub(super) nets: Arc<str>,
}

impl LiveSettings {
    pub(super) fn new(pool: PoolSettings, clocks: ClockSettings) -> Self {
        Self(Mutex::new(Current { pool, clocks, nets: nets(clocks) }))
    }

    /// Whether anything is different from now on.
    pub(super) fn set(&self, pool: PoolSettings, clocks: ClockSettings) -> bool {
        let mut current = self.lock();
        let is_changed = (current.pool, current.clocks) != (pool, clocks);
        *current = Current { pool, clocks, nets: nets(clocks) };
        is_changed
    }

    pub(super) fn current(&self) -> Current {
        self.lock().clone()
    }

    pub(super) fn pool(&self) -> PoolSettings {
        self.lock().pool
    }

    pub(super) fn clocks(&self) -> ClockSettings {
        self.lock().clocks
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nets(clocks: ClockSettings) -> Arc<str> {
    format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}",
        clocks.command_timeout.as_millis() + STATEMENT_NET_MS,
        clocks.command_timeout.max(clocks.cursor_lifetime).as_millis() + IDLE_NET_MS,
    )
    .into()
}
