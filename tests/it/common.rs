//! Helpers for all tests.

pub mod databases;
pub mod heard;
pub mod openssl;
pub mod own_process;
pub mod pgbouncer;
pub mod postgres;
pub mod scripted;
pub mod versions;

use std::time::{Duration, Instant};

use mcp_server_postgres::settings::{
    AccessMode, Address, ChannelBinding, ClockSettings, HttpSettings, Limits, LogFileMode, LogSettings,
    MetricsSettings, PasswordSource, PoolSettings, Pooler, PostgresSettings, ReloadSettings, RoleCheck, Settings,
    SslMode, SslNegotiation, TargetSessionAttrs, TargetSettings, TcpSettings,
};
use pg_guard::Policy;

/// The settings that tests start from.
pub fn settings() -> Settings {
    Settings {
        postgres: PostgresSettings {
            target: TargetSettings {
                addresses: Vec::new(),
                has_random_order: false,
                tcp: TcpSettings {
                    keepalives: true,
                    idle: Duration::from_secs(30),
                    interval: None,
                    count: None,
                    user_timeout: None,
                },
                advice: None,
                hosts: vec!["127.0.0.1".to_owned()],
                ports: vec![5432],
                database: "shop".to_owned(),
                user: "clerk".to_owned(),
                password: None,
                password_source: PasswordSource::Settings,
                ssl_mode: SslMode::Disable,
                ssl_root_cert: None,
                ssl_root_text: None,
                client_certificate: None,
                channel_binding: ChannelBinding::Prefer,
                ssl_negotiation: SslNegotiation::Postgres,
                application_name: "test".to_owned(),
                options: None,
                target_session_attrs: TargetSessionAttrs::Any,
                pooler: Pooler::Auto,
            },
            pool: PoolSettings { size: 2, min_size: 1 },
            clocks: ClockSettings {
                connect_timeout: Duration::from_secs(5),
                command_timeout: Duration::from_secs(30),
                pool_wait_timeout: Duration::from_secs(5),
                cursor_lifetime: Duration::from_secs(60),
            },
        },
        access: AccessMode::ReadOnly,
        more_databases: Default::default(),
        policy: Policy::default(),
        role_check: RoleCheck::Off,
        data_boundary: false,
        structured: true,
        limits: Limits {
            rows_max: 1000,
            bytes_max: 1 << 20,
            rows_ceiling: 5000,
            bytes_ceiling: 5 << 20,
            waiting_max: 1000,
            cursors_max: 1,
            in_flight_max: 16,
            line_bytes_max: 1 << 20,
        },
        metrics: MetricsSettings { history_max: 1000, slow_query_threshold: Duration::from_secs(1) },
        log: LogSettings { level: slog::Level::Info, file: None, file_mode: LogFileMode::Private, parameters: false },
        reload: ReloadSettings { debounce: Duration::from_millis(100) },
        http: HttpSettings {
            addresses: vec![Address::Tcp("127.0.0.1".to_owned(), 0)],
            tokens: None,
            tls: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            rate: 0,
            client_timeout: Duration::from_secs(30),
            connections_max: 100,
            sessions_max: 100,
            session_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        },
    }
}

/// The settings of [`settings`] with a change.
pub fn settings_with(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = settings();
    change(&mut settings);
    settings
}

/// A logger that writes nothing.
pub fn no_log() -> slog::Logger {
    slog::Logger::root(slog::Discard, slog::o!())
}

/// How long to wait for an event. It is much longer than any event takes, so that a lost event fails and does not hang.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` is true.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "this did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
