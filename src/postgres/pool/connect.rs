//! How a connection is opened: the driver's settings, made from this server's, the driver's events in our log, and the
//! SQL that each connection gets first.

use std::error::Error;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use slog::Logger;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::live::LiveSettings;
use crate::log::{debug, info, warn};
use crate::postgres::connection::{Connection, Dialled, OpenError, Wanted};
use crate::postgres::error::{Phase, QueryError, causes};
use crate::postgres::history::SizeHistory;
use crate::postgres::inbox::Inbox;
use crate::postgres::needs::{self, Need};
use crate::postgres::pooler::{self, PooledDial};
use crate::settings::{AccessMode, Pooler, SslMode, TargetSessionAttrs, TargetSettings};

/// A connection on which nothing has come for this long is checked by TCP keepalive.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Opens the pool's connections.
pub(super) struct Connector {
    config: Config,
    dial: Dial,
    /// What opens connections through a pooler.
    pooled: PooledDial,
    access: AccessMode,
    /// What a session needs, and what a transaction needs in a session that a pooler lends. The latter cannot have all
    /// options that the former can: then it is why.
    needs: Vec<Need>,
    pooled_needs: Result<Vec<Need>, String>,
    pooler: Pooler,
    /// Whether a connection has shown that there is a pooler.
    is_pooled: AtomicBool,
    has_warned: AtomicBool,
    live: Arc<LiveSettings>,
    history: Arc<SizeHistory>,
}

impl Connector {
    pub(super) fn new(
        target: &TargetSettings,
        access: AccessMode,
        live: Arc<LiveSettings>,
        tls: MakeRustlsConnect,
        log: &Logger,
    ) -> Result<Self, String> {
        let options = target.options.as_deref().unwrap_or_default();
        let pooled_needs = pooler::settings_of(options).map(|options| needs::of_transaction(&options)).map_err(|word| {
            format!(
                "POSTGRES_OPTIONS has {word}: through a pooler only -c name=value can be used, for each transaction sets \
                 it for itself"
            )
        });
        if target.pooler == Pooler::Transaction {
            pooled_needs.clone()?;
        }
        Ok(Self {
            config: config(target, target.options.as_deref()),
            pooled: PooledDial::new(config(target, None), tls.clone()),
            dial: Dial { live: live.clone(), tls, log: log.clone() },
            access,
            needs: needs::of_session(access),
            pooled_needs,
            pooler: target.pooler,
            is_pooled: AtomicBool::new(target.pooler == Pooler::Transaction),
            has_warned: AtomicBool::new(false),
            live,
            history: Arc::default(),
        })
    }

    async fn open(&self) -> Result<Connection, OpenError> {
        if self.is_pooled.load(Ordering::Relaxed) {
            return self.open_pooled().await;
        }
        let opened = async {
            let client = self.dial.connect(&self.config).await?;
            Connection::open(client, self.wanted(&self.needs), self.pooler == Pooler::Auto).await
        };
        match opened.await {
            Err(OpenError::IsPooled) => {}
            Err(OpenError::Driver(error)) if self.pooler == Pooler::Auto && self.refuses_options(&error) => {}
            opened => return opened,
        }
        let connection = self.open_pooled().await?;
        if !self.is_pooled.swap(true, Ordering::Relaxed) {
            info!(self.dial.log, "there is a pooler: each call runs in a transaction that sets up its session for itself";
                "otherwise" => "POSTGRES_POOLER=none, for a pooler in session mode");
        }
        Ok(connection)
    }

    async fn open_pooled(&self) -> Result<Connection, OpenError> {
        let needs = self.pooled_needs.as_ref().map_err(|why| OpenError::Unusable(why.clone()))?;
        let client = self.dial.connect_pooled(&self.pooled).await?;
        Connection::open_pooled(client, self.wanted(needs), self.pooled.clone()).await
    }

    fn wanted<'a>(&self, needs: &'a [Need]) -> Wanted<'a> {
        let server_timeouts = self.live.current().server_timeouts;
        Wanted { access: self.access, needs, server_timeouts, history: self.history.clone() }
    }

    /// Whether that is the answer of a pooler that takes no start-up options.
    fn refuses_options(&self, error: &tokio_postgres::Error) -> bool {
        self.config.get_options().is_some() && error.code() == Some(&SqlState::PROTOCOL_VIOLATION)
    }
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = OpenError;

    async fn create(&self) -> Result<Connection, OpenError> {
        // Boxed: it is rare, and its 20 KB would be part of the future of every call that uses the pool.
        Box::pin(async {
            let began = Instant::now();
            let mut connection = self.open().await?;
            connection.opened_in = began.elapsed();
            if !connection.warnings.is_empty() && !self.has_warned.swap(true, Ordering::Relaxed) {
                for warning in &connection.warnings {
                    warn!(self.dial.log, "the server is no PostgreSQL, or an old one"; "what" => warning);
                }
            }
            Ok(connection)
        })
        .await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<OpenError> {
        if connection.client().is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

/// Why there is no connection, for the call that needs one.
pub(super) fn query_error(error: OpenError, target: &str) -> QueryError {
    match error {
        OpenError::Driver(error) => QueryError::of(&error, "", Phase::Connect, target),
        OpenError::Unusable(why) => QueryError::refused(format!("{why}.")),
        OpenError::IsPooled => QueryError::refused("There is a pooler between this server and PostgreSQL."),
    }
}

/// The settings of the driver.
fn config(settings: &TargetSettings, options: Option<&str>) -> Config {
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
    if let Some(options) = options {
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
    async fn connect(&self, config: &Config) -> Result<Dialled, tokio_postgres::Error> {
        let mut config = config.clone();
        self.set_timeouts(&mut config);
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
        let messages = stream::poll_fn(move |context| connection.poll_message(context));
        Ok(self.drive(client, messages, version, began))
    }

    async fn connect_pooled(&self, pooled: &PooledDial) -> Result<Dialled, tokio_postgres::Error> {
        let began = Instant::now();
        let (client, mut connection) = pooled.connect(|config| self.set_timeouts(config)).await?;
        let version = connection.parameter("server_version").unwrap_or("?").to_owned();
        let messages = stream::poll_fn(move |context| connection.poll_message(context));
        Ok(self.drive(client, messages, version, began))
    }

    fn set_timeouts(&self, config: &mut Config) {
        let connect_timeout = self.live.clocks().connect_timeout;
        // Data that is not acknowledged within this time will not arrive any more.
        config.tcp_user_timeout(connect_timeout);
        if config.get_hosts().len() > 1 {
            // With one host, the pool has the timeout, and its error says which one it was.
            config.connect_timeout(connect_timeout);
        }
    }

    /// Let the connection of that client run, as long as the client is there.
    fn drive(
        &self,
        client: tokio_postgres::Client,
        messages: impl Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Send + 'static,
        version: String,
        began: Instant,
    ) -> Dialled {
        let (log, inbox) = (self.log.clone(), Arc::<Inbox>::default());
        let incoming = inbox.clone();
        let task = tokio::spawn(async move {
            let mut messages = pin!(messages);
            loop {
                match messages.next().await {
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
        (ClientWrapper::new(client, task), inbox)
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
