//! TLS for the driver. A failed handshake has a type of its own, so nobody has to compare error texts.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

use futures_util::FutureExt as _;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Makes handshakes.
pub(super) struct Tls(pub(super) MakeRustlsConnect);

/// A handshake in progress.
pub(super) struct Handshake<C>(C);

/// The TLS handshake failed.
#[derive(Debug)]
pub(super) struct HandshakeFailed(Box<dyn Error + Sync + Send>);

impl HandshakeFailed {
    /// Whether that is what `error` says.
    pub(super) fn is_in(error: &tokio_postgres::Error) -> bool {
        error.source().is_some_and(<dyn Error>::is::<Self>)
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    MakeRustlsConnect: MakeTlsConnect<S>,
    Handshake<<MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect>:
        TlsConnect<S, Stream = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream>,
{
    type Stream = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;
    type TlsConnect = Handshake<<MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect>;
    type Error = HandshakeFailed;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, HandshakeFailed> {
        self.0.make_tls_connect(host).map(Handshake).map_err(|error| HandshakeFailed(error.into()))
    }
}

impl<S, C: TlsConnect<S>> TlsConnect<S> for Handshake<C>
where
    C::Future: Send + 'static,
{
    type Stream = C::Stream;
    type Error = HandshakeFailed;
    type Future = Pin<Box<dyn Future<Output = Result<C::Stream, HandshakeFailed>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(self.0.connect(stream).map(|done| done.map_err(|error| HandshakeFailed(error.into()))))
    }
}

impl fmt::Display for HandshakeFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for HandshakeFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
