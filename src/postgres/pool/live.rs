//! The settings of a pool that may change while it serves: its size and its timeouts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::postgres::needs::ServerTimeouts;
use crate::settings::{ClockSettings, PoolSettings};

/// How much longer PostgreSQL's own timeouts are than those of this server: they take effect only if this server is no
/// longer there to cancel a statement.
const STATEMENT_TIMEOUT_MARGIN: Duration = Duration::from_secs(1);
const IDLE_TIMEOUT_MARGIN: Duration = Duration::from_secs(60);

/// The current settings.
pub(super) struct LiveSettings(Mutex<Current>);

/// The settings at one moment.
#[derive(Clone, Copy)]
pub(super) struct Current {
    pub(super) pool: PoolSettings,
    pub(super) clocks: ClockSettings,
    pub(super) server_timeouts: ServerTimeouts,
}

impl LiveSettings {
    pub(super) fn new(pool: PoolSettings, clocks: ClockSettings) -> Self {
        Self(Mutex::new(Current { pool, clocks, server_timeouts: server_timeouts(clocks) }))
    }

    /// Replaces the settings. Returns whether anything has changed.
    pub(super) fn set(&self, pool: PoolSettings, clocks: ClockSettings) -> bool {
        let mut current = self.lock();
        let is_changed = (current.pool, current.clocks) != (pool, clocks);
        *current = Current { pool, clocks, server_timeouts: server_timeouts(clocks) };
        is_changed
    }

    pub(super) fn current(&self) -> Current {
        *self.lock()
    }

    pub(super) fn pool(&self) -> PoolSettings {
        self.lock().pool
    }

    pub(super) fn clocks(&self) -> ClockSettings {
        self.lock().clocks
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // No code panics while it has the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn server_timeouts(clocks: ClockSettings) -> ServerTimeouts {
    ServerTimeouts {
        statement: clocks.command_timeout + STATEMENT_TIMEOUT_MARGIN,
        idle_in_transaction: clocks.command_timeout.max(clocks.cursor_lifetime) + IDLE_TIMEOUT_MARGIN,
    }
}
