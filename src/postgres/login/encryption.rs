//! Decides whether a connection uses TLS, as libpq does in each mode (manual, section 34.19).

use std::error::Error as _;
use std::sync::PoisonError;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::error::SqlState;

use super::error::LoginError;
use super::handshake::{HandshakeFailed, Tls};
use super::{Login, Opened, Route};
use crate::log::{info, warn};
use crate::postgres::error::causes;
use crate::settings::{ChannelBinding, SslMode, is_this_machine};

/// The cause if the server does not support TLS.
const NO_TLS: &str = "the server offers no TLS (its setting ssl is off)";

/// The cause in the mode `allow`.
const ALLOWED: &str = "POSTGRES_SSL_MODE is allow";

/// Why a connection is not encrypted, if the settings allow both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The cause.
    pub why: String,
    /// Whether no warning is needed: the connection stays on this machine, or the mode is `allow`.
    pub is_expected: bool,
}

impl Login {
    /// Connects to `host`, the host of `config`, in the configured mode of TLS.
    pub(super) async fn connect(&self, config: Config, host: &str, route: Route) -> Result<Opened, LoginError> {
        match (config.get_ssl_mode(), self.target.ssl_mode) {
            (DriverSslMode::Prefer, SslMode::Allow) => self.connect_plain_first(config, host, route).await,
            (DriverSslMode::Prefer, _) => self.connect_encrypted_first(config, host, route).await,
            _ => {
                let tls = Tls::new(&self.tls);
                let is_encrypted = tls.is_done.clone();
                self.connect_once(&config, tls, route).await.map_err(|error| self.error(error, is_encrypted.get()))
            }
        }
    }

    /// `prefer`: without TLS if the server does not support it, if the handshake fails, or if the server accepts this
    /// user only without TLS.
    async fn connect_encrypted_first(
        &self,
        mut config: Config,
        host: &str,
        route: Route,
    ) -> Result<Opened, LoginError> {
        let tls = Tls::new(&self.tls);
        let is_encrypted = tls.is_done.clone();
        let error = match self.connect_once(&config, tls, route).await {
            Ok(opened) => {
                self.is_open(host, (!is_encrypted.get()).then_some(NO_TLS));
                return Ok(opened);
            }
            Err(error) => error,
        };
        let is_refused_encrypted = is_encrypted.get() && is_refused(&error);
        if !HandshakeFailed::is_in(&error) && !is_refused_encrypted {
            return Err(self.error(error, is_encrypted.get()));
        }
        let cause = causes(&error);
        match self.connect_once(config.ssl_mode(DriverSslMode::Disable), Tls::new(&self.tls), route).await {
            Ok(opened) => {
                self.is_open(host, Some(&cause));
                Ok(opened)
            }
            Err(plain) => Err(self.error(plain, false).after_tls(cause)),
        }
    }

    /// `allow`: with TLS if the server accepts this user only with TLS.
    async fn connect_plain_first(&self, mut config: Config, host: &str, route: Route) -> Result<Opened, LoginError> {
        match self.connect_once(config.ssl_mode(DriverSslMode::Disable), Tls::new(&self.tls), route).await {
            Ok(opened) => {
                self.is_open(host, Some(ALLOWED));
                Ok(opened)
            }
            Err(error) if is_refused(&error) || may_want_tls(&error) => {
                let opened =
                    self.connect_once(config.ssl_mode(DriverSslMode::Require), Tls::new(&self.tls), route).await;
                opened.map_err(|encrypted| {
                    let cause = causes(&encrypted);
                    self.error(error, false).after_tls(cause)
                })
            }
            Err(error) => Err(self.error(error, false)),
        }
    }

    /// Stores why the newest connection is not encrypted, and logs a new reason once.
    fn is_open(&self, host: &str, why: Option<&str>) {
        let plain = why.map(|why| Plain {
            why: why.to_owned(),
            is_expected: why == ALLOWED || (why == NO_TLS && is_this_machine(host)),
        });
        let mut known = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == plain {
            return;
        }
        *known = plain.clone();
        match plain {
            None => {}
            Some(Plain { why, is_expected: true }) => {
                info!(self.log, "connection is not encrypted"; "host" => host, "why" => why);
            }
            Some(Plain { why, is_expected: false }) => {
                warn!(self.log, "connection is not encrypted"; "host" => host, "why" => why);
            }
        }
    }

    /// Why the newest connection is not encrypted although the mode allows TLS; `None` if it is encrypted.
    pub(in crate::postgres) fn plain(&self) -> Option<Plain> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The error of the driver, with better words if it is about channel binding.
    fn error(&self, error: tokio_postgres::Error, is_encrypted: bool) -> LoginError {
        // The driver has no code for it.
        let is_unbound = error.source().is_some_and(|why| why.to_string() == "server did not use channel binding");
        if self.target.channel_binding != ChannelBinding::Require || !is_unbound {
            return error.into();
        }
        let why = match is_encrypted {
            true => {
                "the server has not offered it: PostgreSQL offers it for a login by SCRAM (scram-sha-256 in pg_hba.conf) \
                 with a certificate of RSA or ECDSA, and a pooler such as PgBouncer does not offer it"
            }
            false => "the connection is not encrypted, without which there is none",
        };
        let why = format!("channel binding is required (POSTGRES_CHANNEL_BINDING), and {why}");
        LoginError::NoLogin { why, detail: None, is_retryable: false }
    }
}

/// Whether no entry of pg_hba.conf matches the connection because it is encrypted, or because it is not.
fn is_refused(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// Whether the error may come from a PgBouncer that accepts only TLS: it has one SQLSTATE for all refusals.
fn may_want_tls(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::PROTOCOL_VIOLATION)
}
