//! How TCP notices a lost connection to PostgreSQL.

use std::time::Duration;

use tokio_postgres::Config;

use crate::settings::TcpSettings;

/// Tell the driver. Data that is not acknowledged within the time of opening a connection will not arrive any more, unless the
/// operator says otherwise.
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
