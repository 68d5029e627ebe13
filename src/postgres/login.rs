//! The login to PostgreSQL. It tries one host after the other, with TLS as the settings require, and with the current
//! password.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use slog::Logger;
use tokio_postgres::config::{SslMode as DriverSslMode, SslNegotiation as DriverSslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pooler;
use crate::log::info;
use crate::postgres::tcp;
use crate::settings::libpq::passfile;
use crate::settings::{ChannelBinding, SslMode, SslNegotiation, TargetSessionAttrs, TargetSettings};
use handshake::Tls;
use password::{Found, Passwords};
use server_role::ServerRole;

mod command;
mod encryption;
mod error;
mod handshake;
mod password;
mod server_role;

pub use encryption::Plain;
pub use error::LoginError;

/// The route to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Directly to a backend.
    Direct,
    /// Through a pooler in transaction mode: without start-up options, and with statements that have no name.
    Pooled,
}

/// The connection of a client. It must be polled.
pub(super) enum Wire {
    Direct(Box<Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>>),
    Pooled(pooler::Stream),
}

impl Wire {
    /// The value of a parameter that the server has reported.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        match self {
            Self::Direct(connection) => connection.parameter(name),
            Self::Pooled(stream) => stream.parameter(name),
        }
    }

    /// The next message of the server that answers no request.
    pub(super) fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        match self {
            Self::Direct(connection) => connection.poll_message(context),
            Self::Pooled(stream) => stream.poll_message(context),
        }
    }
}

/// The client, its connection, and the configuration with which it was opened.
pub(super) type Opened = (Client, Wire, Config);

async fn open(config: &Config, tls: Tls, route: Route) -> Result<Opened, Error> {
    let (client, wire) = match route {
        Route::Direct => {
            let (client, connection) = config.connect(tls).await?;
            (client, Wire::Direct(Box::new(connection)))
        }
        Route::Pooled => {
            let (client, stream) = pooler::connect(config, tls).await?;
            (client, Wire::Pooled(stream))
        }
    };
    Ok((client, wire, config.clone()))
}

/// Logs in to one target.
pub(super) struct Login {
    target: Arc<TargetSettings>,
    tls: MakeRustlsConnect,
    passwords: Passwords,
    /// Why the newest connection is not encrypted, if the settings allow both.
    plain: Mutex<Option<Plain>>,
    /// Whether the newest connection is encrypted.
    is_encrypted: AtomicBool,
    log: Logger,
}

impl Login {
    pub(super) fn new(target: Arc<TargetSettings>, tls: MakeRustlsConnect, log: &Logger) -> Self {
        let passwords = Passwords::new(target.clone());
        let (plain, is_encrypted) = Default::default();
        Self { target, tls, passwords, plain, is_encrypted, log: log.clone() }
    }

    async fn connect_once(&self, config: &Config, tls: Tls, route: Route) -> Result<Opened, Error> {
        let is_done = tls.is_done.clone();
        let opened = open(config, tls, route).await?;
        self.is_encrypted.store(is_done.get(), Ordering::Relaxed);
        Ok(opened)
    }

    /// Whether the newest connection is encrypted.
    pub(in crate::postgres) fn is_encrypted(&self) -> bool {
        self.is_encrypted.load(Ordering::Relaxed)
    }

    /// The TLS of cancel requests.
    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }

    /// Logs in at the first host that accepts it. Each host, and the command for the password, may take `limit`.
    ///
    /// # Errors
    /// The error of the last host.
    pub(super) async fn open(&self, limit: Duration, route: Route) -> Result<Opened, LoginError> {
        let mut last = Err(LoginError::without_host());
        for wanted in server_role::rounds(self.target.target_session_attrs) {
            last = self.open_one(*wanted, limit, route).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// The same at the first host with the wanted role.
    async fn open_one(&self, wanted: Option<ServerRole>, limit: Duration, route: Route) -> Result<Opened, LoginError> {
        let hosts = &self.target.hosts;
        let mut last = LoginError::without_host();
        for (at, host) in in_order(hosts, self.target.has_random_order) {
            let ports = &self.target.ports;
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            let mut config = config(&self.target, host, port, route);
            tcp::apply(&mut config, &self.target.tcp, limit);
            if let Some(address) = self.target.addresses.get(at) {
                config.hostaddr(*address);
            }
            if hosts.len() > 1 {
                // With one host, the pool measures the time, and its error names the setting.
                config.connect_timeout(limit);
            }
            let opened = self.log_in(config, (host, port), limit, route).await;
            match (opened, wanted) {
                (Ok(opened), None) => return Ok(opened),
                (Ok(opened), Some(wanted)) => match server_role::checked(opened, wanted, limit).await {
                    Ok(opened) => return Ok(opened),
                    Err(error) => last = error,
                },
                (Err(error), _) => last = error,
            }
        }
        Err(last)
    }

    /// Logs in at one host. If the password is refused and has changed in the meantime, the login is tried once more.
    async fn log_in(
        &self,
        config: Config,
        (host, port): (&str, u16),
        limit: Duration,
        route: Route,
    ) -> Result<Opened, LoginError> {
        let TargetSettings { database, user, .. } = &*self.target;
        let login = passfile::Login { host, port, database, user };
        let found = self.passwords.now(login, limit).await?;
        match self.connect(with_password(&config, &found), host, route).await {
            Err(error) if error.is_refused_login() => {
                let newer = self.passwords.now(login, limit).await?;
                if newer.password.is_none() || newer.password == found.password {
                    return Err(error);
                }
                info!(self.log, "login refused, and tried once more with the password that there is now");
                self.connect(with_password(&config, &newer), host, route).await
            }
            Err(error) if found.password.is_none() => {
                Err(error.without_password(found.missing.as_deref(), self.target.password_source.key()))
            }
            opened => opened,
        }
    }
}

/// The hosts with their indexes in the settings, in the order in which they are tried.
fn in_order(hosts: &[String], is_random: bool) -> Vec<(usize, &String)> {
    let mut order: Vec<_> = hosts.iter().enumerate().collect();
    if is_random {
        // Without random numbers from the system, the order is that of the settings.
        order.sort_by_cached_key(|_| getrandom::u64().unwrap_or_default());
    }
    order
}

fn config(settings: &TargetSettings, host: &str, port: u16, route: Route) -> Config {
    let mut config = Config::new();
    config
        .host(host)
        .port(port)
        .dbname(&settings.database)
        .user(&settings.user)
        .application_name(&settings.application_name)
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
            // Whether it is a standby is checked after the login.
            TargetSessionAttrs::Any
            | TargetSessionAttrs::Primary
            | TargetSessionAttrs::Standby
            | TargetSessionAttrs::PreferStandby => tokio_postgres::config::TargetSessionAttrs::Any,
            TargetSessionAttrs::ReadWrite => tokio_postgres::config::TargetSessionAttrs::ReadWrite,
            TargetSessionAttrs::ReadOnly => tokio_postgres::config::TargetSessionAttrs::ReadOnly,
        });
    if settings.has_random_order {
        // For the addresses of one host.
        config.load_balance_hosts(tokio_postgres::config::LoadBalanceHosts::Random);
    }
    if let (Some(options), Route::Direct) = (&settings.options, route) {
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
