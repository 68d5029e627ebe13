//! TLS for the driver. A failed handshake has its own type, so no code has to compare error texts.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::postgres::pooler::NegotiationError;

/// Starts the handshakes of one connection.
#[derive(Clone)]
pub(super) struct Tls {
    make: MakeRustlsConnect,
    pub(super) is_done: IsDone,
}

/// Whether a handshake has succeeded.
#[derive(Clone, Default)]
pub(super) struct IsDone(Arc<AtomicBool>);

/// A handshake in progress.
pub(super) struct Handshake<C> {
    connect: C,
    is_done: IsDone,
}

/// The TLS handshake failed.
#[derive(Debug)]
pub(super) struct HandshakeFailed(Box<dyn Error + Sync + Send>);

impl Tls {
    pub(super) fn new(make: &MakeRustlsConnect) -> Self {
        Self { make: make.clone(), is_done: IsDone::default() }
    }
}

impl IsDone {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl HandshakeFailed {
    /// Whether the cause of `error` is a failed handshake.
    pub(super) fn is_in(error: &tokio_postgres::Error) -> bool {
        let Some(cause) = error.source() else { return false };
        match cause.downcast_ref::<NegotiationError>() {
            Some(NegotiationError::Handshake(inner)) => inner.is::<Self>(),
            _ => cause.is::<Self>(),
        }
    }

    /// An explanation of a rustls error that does not explain itself.
    fn explanation(&self) -> Option<&'static str> {
        let error = self.0.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
        match error {
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Some("the server speaks TLS 1.1 or older, and 1.2 is the oldest here"),
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
                "the server's certificate is signed by none of those in POSTGRES_SSL_ROOT_CERT, or of the system's",
            ),
            rustls::Error::InvalidCertificate(CertificateError::NotValidForName) => {
                Some("the server's certificate is not valid for the host's name")
            }
            _ => None,
        }
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
        match self.make.make_tls_connect(host) {
            Ok(connect) => Ok(Handshake { connect, is_done: self.is_done.clone() }),
            Err(error) => Err(HandshakeFailed(error.into())),
        }
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
        let Self { connect, is_done } = self;
        Box::pin(connect.connect(stream).map(move |done| match done {
            Ok(stream) => {
                is_done.0.store(true, Ordering::Relaxed);
                Ok(stream)
            }
            Err(error) => Err(HandshakeFailed(error.into())),
        }))
    }
}

impl fmt::Display for HandshakeFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.explanation() {
            Some(explanation) => write!(f, "{explanation}: {}", self.0),
            None => self.0.fmt(f),
        }
    }
}

impl Error for HandshakeFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
