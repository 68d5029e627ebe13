//! The start of a connection under [`Unnamed`], with TLS or without.
//!
//! The driver accepts only TLS as a stream between itself and the socket. So it is told that TLS begins immediately
//! (`sslnegotiation=direct`), and this type is its TLS. It asks the server for TLS like the driver would (manual,
//! section 55.2.10), or it does not use TLS.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect, TlsStream};
use tokio_util::either::Either;

use super::unnamed::Unnamed;

/// SSLRequest: its length and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Starts connections with TLS or without.
#[derive(Clone)]
pub struct Negotiation<T> {
    pub tls: T,
    /// The mode of the driver.
    pub mode: SslMode,
    /// Whether TLS begins without asking the server.
    pub is_direct: bool,
}

/// The start of one connection.
pub struct Negotiating<C> {
    tls: C,
    mode: SslMode,
    is_direct: bool,
}

/// Why a connection could not start.
#[derive(Debug)]
pub enum NegotiationError {
    /// The connection has ended, or the server does not speak PostgreSQL's protocol.
    Io(io::Error),
    /// The server does not support TLS, which is required.
    NoTls,
    /// The handshake has failed.
    Handshake(Box<dyn Error + Sync + Send>),
}

impl<S, T> MakeTlsConnect<S> for Negotiation<T>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: MakeTlsConnect<S>,
    T::Stream: Unpin,
    T::TlsConnect: Send + 'static,
    <T::TlsConnect as TlsConnect<S>>::Future: Send,
{
    type Stream = Unnamed<Either<S, T::Stream>>;
    type TlsConnect = Negotiating<T::TlsConnect>;
    type Error = NegotiationError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, NegotiationError> {
        let tls = self.tls.make_tls_connect(host).map_err(|error| NegotiationError::Handshake(error.into()))?;
        Ok(Negotiating { tls, mode: self.mode, is_direct: self.is_direct })
    }
}

impl<S, C> TlsConnect<S> for Negotiating<C>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    C: TlsConnect<S> + Send + 'static,
    C::Stream: TlsStream + Unpin,
    C::Future: Send,
{
    type Stream = Unnamed<Either<S, C::Stream>>;
    type Error = NegotiationError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, NegotiationError>> + Send>>;

    fn connect(self, mut stream: S) -> Self::Future {
        Box::pin(async move {
            let is_asked = self.mode != SslMode::Disable;
            if is_asked && (self.is_direct || has_tls(&mut stream).await.map_err(NegotiationError::Io)?) {
                let tls = self.tls.connect(stream).await;
                let tls = tls.map_err(|error| NegotiationError::Handshake(error.into()))?;
                return Ok(Unnamed::new(Either::Right(tls)));
            }
            match self.mode {
                SslMode::Disable | SslMode::Prefer => Ok(Unnamed::new(Either::Left(stream))),
                _ => Err(NegotiationError::NoTls),
            }
        })
    }
}

async fn has_tls(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<bool> {
    stream.write_all(&SSL_REQUEST).await?;
    stream.flush().await?;
    match stream.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        other => Err(io::Error::other(format!("the server has answered {other} to the question for TLS"))),
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NoTls => f.write_str("server does not support TLS"),
            Self::Handshake(error) => error.fmt(f),
        }
    }
}

impl Error for NegotiationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            Self::NoTls => None,
            Self::Handshake(error) => error.source(),
        }
    }
}
