//! The settings of the connections to one database: the server and the user, the pool, the timeouts.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;
use crate::tls::client::SslMode;

/// The settings of the connections to one database.
#[derive(Clone, Debug, PartialEq)]
pub struct PostgresSettings {
    /// The server and user of the connections. A change creates a new pool.
    pub target: TargetSettings,
    /// The number of connections. A change keeps the open ones.
    pub pool: PoolSettings,
    /// The timeouts. A change is valid for statements that begin after it.
    pub clocks: ClockSettings,
}

/// The server, the database and the user.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSettings {
    /// Names, addresses, or (with a leading `/`) folders of Unix sockets, tried in this order.
    pub hosts: Vec<String>,
    /// The address of each host; empty if their names are looked up.
    pub addresses: Vec<IpAddr>,
    /// One port for all hosts, or one for each host.
    pub ports: Vec<u16>,
    pub database: String,
    pub user: String,
    /// From POSTGRES_PASSWORD, the URL, the service, or POSTGRES_PASSWORD_FILE as it was when the settings were read.
    pub password: Option<Secret>,
    /// Where a new connection has its password from.
    pub password_source: PasswordSource,
    /// The values have libpq's meanings.
    pub ssl_mode: SslMode,
    /// A PEM file of certificates to trust, or `system`.
    pub ssl_root_cert: Option<PathBuf>,
    /// The content of that file when the settings were read. So a changed file changes the settings.
    pub ssl_root_text: Option<String>,
    /// The certificate by which this server proves its identity.
    pub client_certificate: Option<ClientCertificate>,
    /// Whether the login must be bound to the TLS connection.
    pub channel_binding: ChannelBinding,
    /// How TLS begins.
    pub ssl_negotiation: SslNegotiation,
    /// The name of this server in `pg_stat_activity`.
    pub application_name: String,
    /// Command-line options for the backend, such as `-c search_path=app`.
    pub options: Option<String>,
    /// Which one of several hosts is acceptable.
    pub target_session_attrs: TargetSessionAttrs,
    /// Whether a pooler is between this server and PostgreSQL.
    pub pooler: Pooler,
    /// Whether the hosts, and the addresses of each, are tried in a random order.
    pub has_random_order: bool,
    /// How TCP notices a lost connection.
    pub tcp: TcpSettings,
    /// The parts that are defaults which nobody has chosen, and how to choose them. It is shown when the server cannot
    /// be reached.
    pub advice: Option<String>,
}

/// How TCP notices a lost connection; what is not set is the system's (tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// Whether the operating system sends probes on an idle connection.
    pub keepalives: bool,
    /// How long a connection is idle before the first probe.
    pub idle: Duration,
    /// The time between two probes.
    pub interval: Option<Duration>,
    /// The number of probes without an answer after which the connection is lost.
    pub count: Option<u32>,
    /// How long sent data may stay unacknowledged. If it is not set, the timeout of opening a connection is used.
    pub user_timeout: Option<Duration>,
}

impl TargetSettings {
    /// The longest time for getting the password, in addition to the timeout of opening the connection.
    pub fn password_timeout(&self, connect_timeout: Duration) -> Duration {
        match self.password_source {
            PasswordSource::Command(_) => connect_timeout,
            _ => Duration::ZERO,
        }
    }

    /// How many hosts are tried before opening a connection has failed.
    pub fn tries_max(&self) -> usize {
        let rounds = if self.target_session_attrs == TargetSessionAttrs::PreferStandby { 2 } else { 1 };
        self.hosts.len().max(1) * rounds
    }
}

/// The size of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The largest number of connections.
    pub size: usize,
    /// How many connections a start or a reload opens.
    pub min_size: usize,
}

/// The timeouts of calls on one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSettings {
    /// The timeout of opening a connection.
    pub connect_timeout: Duration,
    /// The timeout of a statement or a batch.
    pub command_timeout: Duration,
    /// How long a call may wait for a free connection.
    pub pool_wait_timeout: Duration,
    /// How long a cursor stays open without being read.
    pub cursor_lifetime: Duration,
}

/// Whether a pooler such as PgBouncer lends a backend for one transaction at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooler {
    /// Each new connection is checked. If there may be a pooler, it is treated as one.
    Auto,
    /// A connection is one backend: there is no pooler, or one in session mode.
    None,
    /// A backend is lent for one transaction at a time.
    Transaction,
}

/// Where a new connection gets its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// From the settings, which may contain none.
    Settings,
    /// From POSTGRES_PASSWORD_FILE, read at that moment.
    File(PathBuf),
    /// From libpq's password file, read at that moment.
    PassFile(PathBuf),
    /// From the output of a program.
    Command(PasswordCommand),
}

/// A program that prints the password, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordCommand {
    pub program: String,
    pub arguments: Vec<String>,
}

/// The certificate by which this server proves its identity to PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain, as PEM.
    pub certificates: Secret,
    /// The key of the first certificate, as PEM.
    pub key: Secret,
}

/// libpq's `channel_binding`: whether a login by SCRAM is bound to the TLS connection, so that nobody can stand between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    /// If the server supports it.
    Prefer,
    Require,
}

/// libpq's `sslnegotiation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslNegotiation {
    /// The server is asked for TLS by a message of PostgreSQL's protocol.
    Postgres,
    /// TLS begins at once, which PostgreSQL takes from version 17 on.
    Direct,
}

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetSessionAttrs {
    /// The first host that answers.
    Any,
    /// The first host that accepts writes.
    ReadWrite,
    /// The first host that does not accept writes.
    ReadOnly,
    /// The first host that is not a standby, whether it accepts writes or not.
    Primary,
    /// The first host that is a standby.
    Standby,
    /// The same; if none is, the first host that answers.
    PreferStandby,
}
