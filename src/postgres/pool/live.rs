//! The settings of a pool that may change while it serves: its size and its timeouts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::settings::{ClockSettings, PoolSettings};

/// How much longer PostgreSQL's own timeouts are than this server's, in milliseconds: they take effect only if this
/// server is no longer there to cancel a statement.
const STATEMENT_TIMEOUT_MARGIN_MS: u128 = 1000;
const IDLE_TIMEOUT_MARGIN_MS: u128 = 60_000;

/// The current settings.
pub(super) struct LiveSettings(Mutex<Current>);

/// The settings at one moment.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) pool: PoolSettings,
    pub(super) clocks: ClockSettings,
    /// The SQL that sets PostgreSQL's own timeouts.
    pub(super) server_timeouts: Arc<str>,
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
        self.lock().clone()
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

/// PostgreSQL's own timeouts: ours, unless the limit of the role, the database, the server or POSTGRES_OPTIONS is
/// stricter. A limit of a DBA is never raised.
fn server_timeouts(clocks: ClockSettings) -> Arc<str> {
    let limits = [
        ("statement_timeout", clocks.command_timeout.as_millis() + STATEMENT_TIMEOUT_MARGIN_MS),
        (
            "idle_in_transaction_session_timeout",
            clocks.command_timeout.max(clocks.cursor_lifetime).as_millis() + IDLE_TIMEOUT_MARGIN_MS,
        ),
    ];
    let sql = limits.map(|(name, ms)| {
        format!(
            "SET {name} TO DEFAULT; SELECT pg_catalog.set_config('{name}', '{ms}', false) \
             FROM (SELECT pg_catalog.current_setting('{name}')::pg_catalog.interval) AS theirs (limit_) \
             WHERE limit_ = interval '0' OR limit_ > interval '{ms} milliseconds'"
        )
    });
    sql.join("; ").into()
}
