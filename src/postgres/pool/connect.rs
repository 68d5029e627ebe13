//! How a connection is opened: the driver's settings, made from this server's, the driver's events in our log, and the
//! SQL that each connection gets first.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt as _;
use slog::Logger;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::live::LiveSettings;
use crate::log::{debug, info, warn};
use crate::postgres::connection::Connection;
use crate::postgres::error::causes;
use crate::postgres::history::SizeHistory;
use crate::postgres::inbox::Inbox;
use crate::settings::{SslMode, TargetSessionAttrs, TargetSettings};

/// A connection on which nothing has come for this long is checked by TCP keepalive.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Opens the pool's connections.
pub(super) struct Connector {
    config: Config,
    dial: Dial,
    /// SQL that every connection gets first, together with PostgreSQL's own timeouts.
    session_setup: Arc<str>,
    live: Arc<LiveSettings>,
    history: Arc<SizeHistory>,
}

impl Connector {
    pub(super) fn new(
        target: &TargetSettings,
        live: Arc<LiveSettings>,
        tls: MakeRustlsConnect,
        session_setup: Arc<str>,
        log: &Logger,
    ) -> Self {
        let dial = Dial { live: live.clone(), tls, log: log.clone() };
        Self { config: config(target), dial, session_setup, live, history: Arc::default() }
    }
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<Connection, tokio_postgres::Error> {
        // Boxed: it is rare, and its 20 KB would be part of the future of every call that uses the pool.
        Box::pin(async {
            let began = Instant::now();
            let mut connection = Connection::open(
                self.dial.connect(&self.config).await?,
                &self.session_setup,
                self.live.current().server_timeouts,
                self.history.clone(),
            )
            .await?;
            connection.opened_in = began.elapsed();
            Ok(connection)
        })
        .await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<tokio_postgres::Error> {
        if connection.client().is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

fn config(settings: &TargetSettings) -> Config {
    let mut config = Config::new();
    for host in &settings.hosts {
        config.host(host);
    }
    for &port in &settings.ports {
        config.port(port);
    }
    config
        .dbname(&settings.database)
        .user(&settings.user)
        .application_name(&settings.application_name)
        .keepalives_idle(KEEPALIVE)
        .ssl_mode(ssl_mode(settings))
        .target_session_attrs(match settings.target_session_attrs {
            TargetSessionAttrs::Any => tokio_postgres::config::TargetSessionAttrs::Any,
            TargetSessionAttrs::ReadWrite => tokio_postgres::config::TargetSessionAttrs::ReadWrite,
            TargetSessionAttrs::ReadOnly => tokio_postgres::config::TargetSessionAttrs::ReadOnly,
        });
    if let Some(password) = &settings.password {
        config.password(password.expose());
    }
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config
}

fn ssl_mode(settings: &TargetSettings) -> tokio_postgres::config::SslMode {
    use tokio_postgres::config::SslMode as Driver;
    // As in libpq, a Unix socket has no TLS in any mode.
    if settings.hosts.iter().all(|host| host.starts_with('/')) {
        return Driver::Disable;
    }
    match settings.ssl_mode {
        SslMode::Disable => Driver::Disable,
        SslMode::Prefer => Driver::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Driver::Require,
    }
}

/// Opens a connection with the driver, and logs its events.
struct Dial {
    live: Arc<LiveSettings>,
    tls: MakeRustlsConnect,
    log: Logger,
}

impl Dial {
    /// A connection, and where the messages of its backend come to.
    async fn connect(&self, config: &Config) -> Result<(ClientWrapper, Arc<Inbox>), tokio_postgres::Error> {
        let mut config = config.clone();
        let connect_timeout = self.live.clocks().connect_timeout;
        // Data that is not acknowledged within this time will not arrive any more.
        config.tcp_user_timeout(connect_timeout);
        if config.get_hosts().len() > 1 {
            // With one host, the pool has the timeout, and its error says which one it was.
            config.connect_timeout(connect_timeout);
        }
        let began = Instant::now();
        let connected = match config.connect(Tls(self.tls.clone())).await {
            // As libpq's "prefer": if the TLS handshake fails, connect without TLS.
            Err(error)
                if config.get_ssl_mode() == tokio_postgres::config::SslMode::Prefer
                    && error.source().is_some_and(<dyn Error>::is::<HandshakeFailed>) =>
            {
                config.ssl_mode(tokio_postgres::config::SslMode::Disable).connect(self.tls.clone()).await
            }
            other => other,
        };
        let (client, mut connection) = connected?;
        let version = connection.parameter("server_version").unwrap_or("?").to_owned();
        let (log, inbox) = (self.log.clone(), Arc::<Inbox>::default());
        let incoming = inbox.clone();
        let task = tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notice(notice))) => incoming.put(&notice, &log),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        warn!(log, "connection lost"; "why" => causes(&error));
                        return;
                    }
                    None => {
                        debug!(log, "connection closed");
                        return;
                    }
                }
            }
        });
        info!(self.log, "connection opened";
            "server_version" => version, "ms" => began.elapsed().as_millis() as u64);
        Ok((ClientWrapper::new(client, task), inbox))
    }
}

/// TLS for the driver. A failed handshake has a type of its own, so nobody has to compare error texts.
struct Tls(MakeRustlsConnect);

/// A handshake in progress.
struct Handshake<C>(C);

/// The TLS handshake failed.
#[derive(Debug)]
struct HandshakeFailed(Box<dyn Error + Sync + Send>);

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
