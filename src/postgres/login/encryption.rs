//! TLS or not, as libpq decides it in each mode (manual, section 34.19).

use std::error::Error as _;
use std::sync::PoisonError;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::error::SqlState;

use super::error::LoginError;
use super::handshake::{HandshakeFailed, Tls};
use super::{Login, Opened};
use crate::log::{info, warn};
use crate::postgres::error::causes;
use crate::settings::{ChannelBinding, SslMode, is_this_machine};

/// Why a connection is not encrypted if its server cannot do it.
const NO_TLS: &str = "the server offers no TLS (its setting ssl is off)";

/// The same in the mode that asks for it.
const ALLOWED: &str = "POSTGRES_SSL_MODE is allow";

/// Why a connection is not encrypted, where the settings leave that open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The cause.
    pub why: String,
    /// Whether it is as it was to be: nobody can listen on one machine, and `allow` asks for it.
    pub is_expected: bool,
}

impl Login {
    /// Connects to `host`, which is that of `config`, as the mode of TLS says.
    pub(super) async fn connect(&self, config: Config, host: &str) -> Result<Opened, LoginError> {
        match (config.get_ssl_mode(), self.target.ssl_mode) {
            (DriverSslMode::Prefer, SslMode::Allow) => self.connect_plain_first(config, host).await,
            (DriverSslMode::Prefer, _) => self.connect_encrypted_first(config, host).await,
            _ => {
                let tls = Tls::new(&self.tls);
                let is_encrypted = tls.is_done.clone();
                config.connect(tls).await.map_err(|error| self.error(error, is_encrypted.get()))
            }
        }
    }

    /// `prefer`: without TLS where the server has none, where the handshake fails, and where it takes this user only so.
    async fn connect_encrypted_first(&self, mut config: Config, host: &str) -> Result<Opened, LoginError> {
        let tls = Tls::new(&self.tls);
        let is_encrypted = tls.is_done.clone();
        let error = match config.connect(tls).await {
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
        match config.ssl_mode(DriverSslMode::Disable).connect(Tls::new(&self.tls)).await {
            Ok(opened) => {
                self.is_open(host, Some(&cause));
                Ok(opened)
            }
            Err(plain) => Err(self.error(plain, false).after_tls(cause)),
        }
    }

    /// `allow`: with TLS where the server takes this user only so.
    async fn connect_plain_first(&self, mut config: Config, host: &str) -> Result<Opened, LoginError> {
        match config.ssl_mode(DriverSslMode::Disable).connect(Tls::new(&self.tls)).await {
            Ok(opened) => {
                self.is_open(host, Some(ALLOWED));
                Ok(opened)
            }
            Err(error) if is_refused(&error) => {
                let opened = config.ssl_mode(DriverSslMode::Require).connect(Tls::new(&self.tls)).await;
                opened.map_err(|encrypted| {
                    let cause = causes(&encrypted);
                    self.error(error, false).after_tls(cause)
                })
            }
            Err(error) => Err(self.error(error, false)),
        }
    }

    /// Remembers why the newest connection is not encrypted, if it is not, and says it once.
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

    /// Why the newest connection is not encrypted, though the mode allows TLS; none if it is.
    pub(in crate::postgres) fn plain(&self) -> Option<Plain> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The driver's error, in better words where it is about channel binding.
    fn error(&self, error: tokio_postgres::Error, is_encrypted: bool) -> LoginError {
        // The driver has no code for it.
        let is_unbound = error.source().is_some_and(|why| why.to_string() == "server did not use channel binding");
        if self.target.channel_binding != ChannelBinding::Require || !is_unbound {
            return error.into();
        }
        let why = match is_encrypted {
            true => {
                "PostgreSQL has not used it: it needs a login by SCRAM (scram-sha-256 in pg_hba.conf), and a certificate \
                 of RSA or ECDSA"
            }
            false => "the connection is not encrypted, without which there is none",
        };
        let why = format!("channel binding is required (POSTGRES_CHANNEL_BINDING), and {why}");
        LoginError::NoLogin { why, detail: None, is_retryable: false }
    }
}

/// Whether pg_hba.conf has no place for the connection as it is, encrypted or not.
fn is_refused(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}
