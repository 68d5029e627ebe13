//! Opens connections on which prepared statements have no name, and cancels what runs on them.

use std::error::Error as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::net::UnixStream;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::either::Either;

use super::negotiation::{Negotiation, NegotiationError};
use super::unnamed::Unnamed;

/// Opens connections through a pooler.
#[derive(Clone)]
pub struct PooledDial {
    config: Config,
    negotiation: Negotiation,
}

type Tls<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

type Wire<S> = Connection<S, Unnamed<Either<S, Tls<S>>>>;

/// A connection that must be polled for its messages.
pub enum Stream {
    Tcp(Box<Wire<Socket>>),
    Unix(Box<Wire<UnixStream>>),
}

impl Stream {
    /// A value that the server has reported.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        match self {
            Self::Tcp(connection) => connection.parameter(name),
            Self::Unix(connection) => connection.parameter(name),
        }
    }

    /// The next message of the server that is no answer.
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        match self {
            Self::Tcp(connection) => connection.poll_message(context),
            Self::Unix(connection) => connection.poll_message(context),
        }
    }
}

impl PooledDial {
    /// `config` is the driver's, with its own way to say whether there is TLS, and without start-up options.
    pub fn new(mut config: Config, tls: MakeRustlsConnect) -> Self {
        let negotiation = Negotiation { tls, mode: config.get_ssl_mode() };
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
        Self { config, negotiation }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn connect(&self, change: impl FnOnce(&mut Config)) -> Result<(Client, Stream), Error> {
        let mut config = self.config.clone();
        change(&mut config);
        match open(&config, &self.negotiation).await {
            // As libpq's "prefer": if the TLS handshake fails, connect without TLS.
            Err(error) if self.negotiation.mode == SslMode::Prefer && is_failed_handshake(&error) => {
                open(&config, &Negotiation { mode: SslMode::Disable, ..self.negotiation.clone() }).await
            }
            opened => opened,
        }
    }

    /// Asks the pooler to cancel what the connection of that token runs.
    ///
    /// # Errors
    /// The error of the driver.
    pub async fn cancel(&self, token: CancelToken) -> Result<(), Error> {
        let Some(sockets) = sockets(&self.config) else {
            return token.cancel_query(self.negotiation.clone()).await;
        };
        // Only the pooler that has given it knows the token.
        let mut asked = Ok(());
        for socket in sockets {
            if let Ok(stream) = UnixStream::connect(socket).await {
                asked = token.clone().cancel_query_raw(stream, negotiating(&self.negotiation)).await;
            }
        }
        asked
    }
}

type Opening<'a> = Pin<Box<dyn Future<Output = Result<(Client, Stream), Error>> + Send + 'a>>;

fn open<'a>(config: &'a Config, negotiation: &'a Negotiation) -> Opening<'a> {
    Box::pin(async move {
        // On a socket the driver refuses what it takes for TLS, so the stream is opened here.
        for socket in sockets(config).into_iter().flatten() {
            if let Ok(stream) = UnixStream::connect(socket).await {
                let (client, connection) = config.connect_raw(stream, negotiating(negotiation)).await?;
                return Ok((client, Stream::Unix(Box::new(connection))));
            }
        }
        // If there was a socket and it could not be opened, the driver says why.
        let (client, connection) = config.connect(negotiation.clone()).await?;
        Ok((client, Stream::Tcp(Box::new(connection))))
    })
}

/// The beginning of a connection on a socket.
fn negotiating(negotiation: &Negotiation) -> <Negotiation as MakeTlsConnect<UnixStream>>::TlsConnect {
    // A name is for certificates alone, and a socket has no TLS.
    let made = MakeTlsConnect::<UnixStream>::make_tls_connect(&mut negotiation.clone(), "");
    made.unwrap_or_else(|error| unreachable!("{error}: nothing is asked of TLS here"))
}

/// The sockets, if all hosts are folders of sockets.
fn sockets(config: &Config) -> Option<Vec<PathBuf>> {
    let (hosts, ports) = (config.get_hosts(), config.get_ports());
    let socket = |(at, host): (usize, &Host)| match host {
        Host::Unix(folder) => {
            let port = ports.get(at).or(ports.first()).unwrap_or(&5432);
            Some(folder.join(format!(".s.PGSQL.{port}")))
        }
        Host::Tcp(_) => None,
    };
    hosts.iter().enumerate().map(socket).collect()
}

fn is_failed_handshake(error: &Error) -> bool {
    let why = error.source().and_then(|why| why.downcast_ref::<NegotiationError>());
    matches!(why, Some(NegotiationError::Handshake(_)))
}
