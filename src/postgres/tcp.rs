//! How TCP detects a lost connection to PostgreSQL.

use std::time::Duration;

use tokio_postgres::Config;

use crate::settings::TcpSettings;

/// Configures the driver. Unless the operator says otherwise, data that is not acknowledged within the timeout of
/// opening a connection counts as lost.
pub(super) fn apply(config: &mut Config, tcp: &TcpSettings, connect_timeout: Duration) {
    config
        .keepalives(tcp.keepalives)
        .keepalives_idle(tcp.idle)
        .tcp_user_timeout(tcp.user_timeout.unwrap_or(connect_timeout));
    if let Some(interval) = tcp.interval {
        config.keepalives_interval(interval);
    }
    if let Some(count) = tcp.count {
        config.keepalives_retries(count);
    }
}
