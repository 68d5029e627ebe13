//! The login to PostgreSQL: host after host, with TLS as the settings ask for it, and with the password as it is now.

use std::sync::Arc;
use std::time::Duration;

use slog::Logger;
use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::causes;
use crate::log::info;
use crate::settings::{SslMode, TargetSessionAttrs, TargetSettings, libpq::passfile};
use handshake::{HandshakeFailed, Tls};
use password::{Found, Passwords};

mod command;
mod error;
mod handshake;
mod password;

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
    log: Logger,
}

impl Login {
    pub(super) fn new(target: Arc<TargetSettings>, tls: MakeRustlsConnect, log: &Logger) -> Self {
        Self { passwords: Passwords::new(target.clone()), target, tls, log: log.clone() }
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
        match self.connect(with_password(&config, &found)).await {
            Err(error) if error.is_refused_login() => {
                let newer = self.passwords.now(login, limit).await?;
                if newer.password.is_none() || newer.password == found.password {
                    return Err(error);
                }
                info!(self.log, "login refused, and tried once more with the password that there is now");
                self.connect(with_password(&config, &newer)).await
            }
            Err(error) => Err(error.explained(&found, self.target.password_source.key())),
            opened => opened,
        }
    }

    /// Connects with or without TLS, as the mode says.
    async fn connect(&self, mut config: Config) -> Result<Opened, LoginError> {
        match config.connect(Tls(self.tls.clone())).await {
            // As libpq's "prefer": if the TLS handshake fails, connect without TLS.
            Err(error) if config.get_ssl_mode() == DriverSslMode::Prefer && HandshakeFailed::is_in(&error) => {
                let plain = config.ssl_mode(DriverSslMode::Disable).connect(self.tls.clone()).await;
                plain.map_err(|plain| LoginError::Driver { error: plain, tls: Some(causes(&error)) })
            }
            opened => Ok(opened?),
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
            SslMode::Prefer => DriverSslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => DriverSslMode::Require,
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
