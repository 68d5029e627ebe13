//! Opens connections on which prepared statements have no name.

use std::path::PathBuf;
use std::task::{Context, Poll};

use tokio::net::UnixStream;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::either::Either;

use super::negotiation::{Negotiation, NegotiationError};
use super::unnamed::Unnamed;

type Tls<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

type Wire<S> = Connection<S, Unnamed<Either<S, Tls<S>>>>;

/// A connection that must be polled for its messages.
pub enum Stream {
    Tcp(Box<Wire<Socket>>),
    Unix(Box<Wire<UnixStream>>),
}

impl Stream {
    /// The value of a parameter that the server has reported.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        match self {
            Self::Tcp(connection) => connection.parameter(name),
            Self::Unix(connection) => connection.parameter(name),
        }
    }

    /// The next message of the server that answers no request.
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        match self {
            Self::Tcp(connection) => connection.poll_message(context),
            Self::Unix(connection) => connection.poll_message(context),
        }
    }
}

/// Opens a connection on which prepared statements have no name. `config` says whether TLS is used, and has no start-up
/// options.
///
/// # Errors
/// The error of the driver. If the handshake failed, it is the error of `tls` in a [`NegotiationError`].
pub async fn connect<T>(config: &Config, tls: T) -> Result<(Client, Stream), Error>
where
    T: MakeTlsConnect<Socket, Stream = Tls<Socket>> + MakeTlsConnect<UnixStream, Stream = Tls<UnixStream>> + Clone,
    <T as MakeTlsConnect<Socket>>::TlsConnect: Send + 'static,
    <<T as MakeTlsConnect<Socket>>::TlsConnect as TlsConnect<Socket>>::Future: Send,
    <T as MakeTlsConnect<UnixStream>>::TlsConnect: Send + 'static,
    <<T as MakeTlsConnect<UnixStream>>::TlsConnect as TlsConnect<UnixStream>>::Future: Send,
{
    let (config, negotiation) = split(config, tls);
    // On a Unix socket the driver refuses TLS, so the stream is opened here.
    for socket in sockets(&config).into_iter().flatten() {
        if let Ok(stream) = UnixStream::connect(socket).await {
            let (client, connection) = config.connect_raw(stream, negotiating(&negotiation)).await?;
            return Ok((client, Stream::Unix(Box::new(connection))));
        }
    }
    // If there is a socket that cannot be opened, the driver's error says why.
    let (client, connection) = config.connect(negotiation).await?;
    Ok((client, Stream::Tcp(Box::new(connection))))
}

/// The negotiation of the connections that [`connect`] opens with this configuration.
pub fn negotiation_of<T>(config: &Config, tls: T) -> Negotiation<T> {
    split(config, tls).1
}

/// The configuration with which the driver leaves the start of the connection to the negotiation, and that negotiation.
fn split<T>(config: &Config, tls: T) -> (Config, Negotiation<T>) {
    let is_direct = matches!(config.get_ssl_negotiation(), SslNegotiation::Direct);
    let negotiation = Negotiation { tls, mode: config.get_ssl_mode(), is_direct };
    let mut config = config.clone();
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    (config, negotiation)
}

/// The start of a connection on a Unix socket.
fn negotiating<T>(negotiation: &Negotiation<T>) -> <Negotiation<T> as MakeTlsConnect<UnixStream>>::TlsConnect
where
    Negotiation<T>: MakeTlsConnect<UnixStream, Error = NegotiationError> + Clone,
{
    // The name is needed only for certificates, and a Unix socket has no TLS.
    let made = negotiation.clone().make_tls_connect("");
    made.unwrap_or_else(|error| unreachable!("{error}: nothing is asked of TLS here"))
}

/// The paths of the sockets, if all hosts are folders of sockets.
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
