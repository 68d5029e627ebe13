//! The login to PostgreSQL: host after host, with TLS as the settings ask for it, and with the password as it is now.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use slog::Logger;
use tokio_postgres::config::{SslMode as DriverSslMode, SslNegotiation as DriverSslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::log::info;
use crate::settings::libpq::passfile;
use crate::settings::{ChannelBinding, SslMode, SslNegotiation, TargetSessionAttrs, TargetSettings};
use password::{Found, Passwords};

mod command;
mod encryption;
mod error;
mod handshake;
mod password;

pub use encryption::Plain;
pub(super) use error::LoginError;

/// A connection on which nothing has come for this long is checked by TCP keepalive.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The driver's client, and the connection that has to be polled for it.
pub(super) type Opened = (Client, Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>);

/// Logs in to one target.
pub(super) struct Login {
    target: Arc<TargetSettings>,
    tls: MakeRustlsConnect,
    passwords: Passwords,
    /// Why the newest connection is not encrypted, where the mode leaves that open.
    plain: Mutex<Option<Plain>>,
    log: Logger,
}

impl Login {
    pub(super) fn new(target: Arc<TargetSettings>, tls: MakeRustlsConnect, log: &Logger) -> Self {
        let passwords = Passwords::new(target.clone());
        Self { target, tls, passwords, plain: Mutex::default(), log: log.clone() }
    }

    /// Logs in at the first host that takes it. Each host, and the command for the password, may take `limit`.
    ///
    /// # Errors
    /// Why the last host did not.
    pub(super) async fn open(&self, limit: Duration) -> Result<Opened, LoginError> {
        let hosts = &self.target.hosts;
        let mut last = None;
        for (at, host) in hosts.iter().enumerate() {
            let ports = &self.target.ports;
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            let mut config = config(&self.target, host, port);
            // Data that is not acknowledged within this time will not arrive any more.
            config.tcp_user_timeout(limit);
            if hosts.len() > 1 {
                // With one host, the pool has the timeout, and its error says which one it was.
                config.connect_timeout(limit);
            }
            match self.log_in(config, host, port, limit).await {
                Ok(opened) => return Ok(opened),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(LoginError::without_host))
    }

    /// Logs in at one host. If its password is refused and is another one by now, it is tried once more with that.
    async fn log_in(&self, config: Config, host: &str, port: u16, limit: Duration) -> Result<Opened, LoginError> {
        let TargetSettings { database, user, .. } = &*self.target;
        let login = passfile::Login { host, port, database, user };
        let found = self.passwords.now(login, limit).await?;
        match self.connect(with_password(&config, &found), host).await {
            Err(error) if error.is_refused_login() => {
                let newer = self.passwords.now(login, limit).await?;
                if newer.password.is_none() || newer.password == found.password {
                    return Err(error);
                }
                info!(self.log, "login refused, and tried once more with the password that there is now");
                self.connect(with_password(&config, &newer), host).await
            }
            Err(error) if found.password.is_none() => {
                Err(error.without_password(found.missing.as_deref(), self.target.password_source.key()))
            }
            opened => opened,
        }
    }
}

fn config(settings: &TargetSettings, host: &str, port: u16) -> Config {
    let mut config = Config::new();
    config
        .host(host)
        .port(port)
        .dbname(&settings.database)
        .user(&settings.user)
        .application_name(&settings.application_name)
        .keepalives_idle(KEEPALIVE)
        .ssl_mode(match settings.ssl_mode {
            // As in libpq, a Unix socket has no TLS in any mode.
            _ if host.starts_with('/') => DriverSslMode::Disable,
            SslMode::Disable => DriverSslMode::Disable,
            SslMode::Allow | SslMode::Prefer => DriverSslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => DriverSslMode::Require,
        })
        .ssl_negotiation(match settings.ssl_negotiation {
            SslNegotiation::Postgres => DriverSslNegotiation::Postgres,
            SslNegotiation::Direct => DriverSslNegotiation::Direct,
        })
        .channel_binding(match settings.channel_binding {
            ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
            ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
            ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
        })
        .target_session_attrs(match settings.target_session_attrs {
            TargetSessionAttrs::Any => tokio_postgres::config::TargetSessionAttrs::Any,
            TargetSessionAttrs::ReadWrite => tokio_postgres::config::TargetSessionAttrs::ReadWrite,
            TargetSessionAttrs::ReadOnly => tokio_postgres::config::TargetSessionAttrs::ReadOnly,
        });
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config
}

fn with_password(config: &Config, found: &Found) -> Config {
    let mut config = config.clone();
    if let Some(password) = &found.password {
        config.password(password.expose());
    }
    config
}
