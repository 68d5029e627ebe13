//! How a connection is opened: the login, the driver's events in our log, and the settings that each connection gets first.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use slog::Logger;
use tokio_postgres::AsyncMessage;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::live::LiveSettings;
use crate::log::{debug, info, warn};
use crate::postgres::cancel::{Canceller, Tls};
use crate::postgres::connection::{Connection, Dialled, OpenError, Wanted};
use crate::postgres::error::{QueryError, causes};
use crate::postgres::history::SizeHistory;
use crate::postgres::inbox::Inbox;
use crate::postgres::login::{Login, LoginError, Plain, Route};
use crate::postgres::needs::{self, Need};
use crate::postgres::pooler;
use crate::settings::{AccessMode, Pooler, TargetSettings};

/// Opens the pool's connections.
pub(super) struct Connector {
    dial: Dial,
    access: AccessMode,
    /// The settings for a session of its own, and those for a transaction in a session that a pooler lends. Some
    /// options cannot be set in a transaction; then the second one is the reason.
    needs: Vec<Need>,
    pooled_needs: Result<Vec<Need>, String>,
    has_options: bool,
    pooler: Pooler,
    /// Whether a connection has shown that there is a pooler.
    is_pooled: AtomicBool,
    has_warned: AtomicBool,
    live: Arc<LiveSettings>,
    history: Arc<SizeHistory>,
}

impl Connector {
    pub(super) fn new(
        target: Arc<TargetSettings>,
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
            access,
            needs: needs::of_session(access),
            pooled_needs,
            has_options: target.options.is_some(),
            pooler: target.pooler,
            is_pooled: AtomicBool::new(target.pooler == Pooler::Transaction),
            has_warned: AtomicBool::new(false),
            dial: Dial { live: live.clone(), login: Login::new(target, tls, log), log: log.clone() },
            live,
            history: Arc::default(),
        })
    }

    /// Why the newest connection is not encrypted, if the settings allow both.
    pub(super) fn plain(&self) -> Option<Plain> {
        self.dial.login.plain()
    }

    /// Whether the newest connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.dial.login.is_encrypted()
    }

    async fn open(&self) -> Result<Connection, OpenError> {
        if self.is_pooled.load(Ordering::Relaxed) {
            return self.open_pooled().await;
        }
        let opened = async {
            let dialled = self.dial.connect(Route::Direct).await?;
            Connection::open(dialled, self.wanted(&self.needs), self.pooler == Pooler::Auto).await
        };
        match opened.await {
            Err(OpenError::IsPooled) => {}
            Err(OpenError::Login(error)) if self.pooler == Pooler::Auto && self.refuses_options(&error) => {}
            opened => return opened,
        }
        let connection = self.open_pooled().await?;
        if !self.is_pooled.swap(true, Ordering::Relaxed) {
            info!(self.dial.log, "there is a pooler: each call runs in a transaction that makes all its settings";
                "otherwise" => "POSTGRES_POOLER=none, for a pooler in session mode");
        }
        Ok(connection)
    }

    async fn open_pooled(&self) -> Result<Connection, OpenError> {
        let needs = self.pooled_needs.as_ref().map_err(|why| OpenError::Unusable(why.clone()))?;
        let dialled = self.dial.connect(Route::Pooled).await?;
        Connection::open_pooled(dialled, self.wanted(needs)).await
    }

    fn wanted<'a>(&self, needs: &'a [Need]) -> Wanted<'a> {
        let server_timeouts = self.live.current().server_timeouts;
        Wanted { access: self.access, needs, server_timeouts, history: self.history.clone() }
    }

    /// Whether the error comes from a pooler that accepts no start-up options.
    fn refuses_options(&self, error: &LoginError) -> bool {
        self.has_options && error.sqlstate() == Some(&SqlState::PROTOCOL_VIOLATION)
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
pub(super) fn query_error(error: &OpenError, target: &str) -> QueryError {
    match error {
        OpenError::Login(error) => error.query_error(target),
        OpenError::Unusable(why) => QueryError::refused(format!("{why}.")),
        OpenError::IsPooled => QueryError::refused("There is a pooler between this server and PostgreSQL."),
    }
}

/// Logs in, and logs the driver's events.
struct Dial {
    live: Arc<LiveSettings>,
    login: Login,
    log: Logger,
}

impl Dial {
    async fn connect(&self, route: Route) -> Result<Dialled, LoginError> {
        let began = Instant::now();
        let (client, mut wire, config) = self.login.open(self.live.clocks().connect_timeout, route).await?;
        let version = wire.parameter("server_version").unwrap_or("?").to_owned();
        let (log, inbox) = (self.log.clone(), Arc::<Inbox>::default());
        let incoming = inbox.clone();
        let task = tokio::spawn(async move {
            loop {
                match poll_fn(|context| wire.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notice(notice))) => incoming.put(&notice, &log),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        incoming.ended(&error);
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
        let tls = match route {
            Route::Direct => Tls::Direct(self.login.tls()),
            Route::Pooled => Tls::Pooled(pooler::negotiation_of(&config, self.login.tls())),
        };
        let canceller = Arc::new(Canceller::new(config, tls));
        Ok(Dialled { client: ClientWrapper::new(client, task), inbox, canceller })
    }
}
