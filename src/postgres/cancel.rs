//! Cancel requests (manual, section 55.2.8): each is sent on a connection of its own.
//!
//! PostgreSQL closes that connection when it has read the request, and the driver does not wait for this. A pooler must
//! first forward the request, and drops it if its client goes earlier. So here the end of the connection is awaited.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{CancelToken, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pooler::Negotiation;

/// Why a cancel request could not be sent.
pub type CancelError = Box<dyn Error + Send + Sync>;

/// Where the cancel requests of a connection are sent.
pub struct Canceller {
    /// The configuration by which the connection was opened. It has one host.
    config: Config,
    tls: Tls,
}

/// The TLS of the requests; the connection must have been opened with the same.
pub enum Tls {
    /// The driver negotiates.
    Direct(MakeRustlsConnect),
    /// Through a pooler, this server negotiates.
    Pooled(Negotiation<MakeRustlsConnect>),
}

impl Canceller {
    pub fn new(config: Config, tls: Tls) -> Self {
        Self { config, tls }
    }

    /// Asks the server to cancel what the connection of this token runs. Returns when the server has taken the request.
    ///
    /// # Errors
    /// Why the request could not be sent.
    pub async fn cancel(&self, token: &CancelToken) -> Result<(), CancelError> {
        if let Some(socket) = self.socket() {
            return self.send(token, UnixStream::connect(socket).await?, "").await;
        }
        let (name, addresses) = self.addresses().await?;
        // The driver does not say which address the connection has. A server that does not know the token ignores it.
        let sent = join_all(addresses.into_iter().map(async |address| {
            let stream = TcpStream::connect(address).await?;
            self.send(token, stream, &name).await
        }));
        sent.await.into_iter().reduce(Result::or).unwrap_or_else(|| Err("the host has no address".into()))
    }

    async fn send<S>(&self, token: &CancelToken, stream: S, host: &str) -> Result<(), CancelError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (token, stream) = (token.clone(), UntilClosed(stream));
        match &self.tls {
            Tls::Direct(tls) => {
                let tls = MakeTlsConnect::<UntilClosed<S>>::make_tls_connect(&mut tls.clone(), host)?;
                token.cancel_query_raw(stream, TlsUntilClosed(tls)).await?;
            }
            Tls::Pooled(negotiation) => {
                let tls = MakeTlsConnect::<UntilClosed<S>>::make_tls_connect(&mut negotiation.clone(), host)?;
                token.cancel_query_raw(stream, TlsUntilClosed(tls)).await?;
            }
        }
        Ok(())
    }

    fn socket(&self) -> Option<PathBuf> {
        match self.config.get_hosts().first() {
            Some(Host::Unix(folder)) => Some(folder.join(format!(".s.PGSQL.{}", self.port()))),
            _ => None,
        }
    }

    fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// The name of the host, and its addresses.
    async fn addresses(&self) -> io::Result<(String, Vec<SocketAddr>)> {
        let name = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            _ => String::new(),
        };
        let addresses = match self.config.get_hostaddrs().first() {
            Some(address) => vec![SocketAddr::new(*address, self.port())],
            None => tokio::net::lookup_host((name.as_str(), self.port())).await?.collect(),
        };
        Ok((name, addresses))
    }
}

/// TLS with such an end: its own end (close_notify) would be the end of the client for PgBouncer.
struct TlsUntilClosed<C>(C);

impl<S, C> TlsConnect<S> for TlsUntilClosed<C>
where
    C: TlsConnect<S>,
    C::Stream: Unpin,
    C::Future: Send + 'static,
{
    type Stream = UntilClosed<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, C::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let connecting = self.0.connect(stream);
        Box::pin(async { connecting.await.map(UntilClosed) })
    }
}

/// A stream whose end waits until the other side has closed it.
struct UntilClosed<S>(S);

impl<S: TlsStream + Unpin> TlsStream for UntilClosed<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for UntilClosed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UntilClosed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(Pin::new(&mut self.0).poll_flush(context))?;
            let mut bytes = [0; 64];
            let mut read = ReadBuf::new(&mut bytes);
            // An error means that it is closed, too.
            if ready!(Pin::new(&mut self.0).poll_read(context, &mut read)).is_err() || read.filled().is_empty() {
                return Pin::new(&mut self.0).poll_shutdown(context);
            }
        }
    }
}
