//! How a connection is opened: the login, the driver's events in our log, and the SQL that each connection gets first.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use slog::Logger;
use tokio_postgres::AsyncMessage;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::live::LiveSettings;
use crate::log::{debug, info, warn};
use crate::postgres::connection::Connection;
use crate::postgres::error::causes;
use crate::postgres::history::SizeHistory;
use crate::postgres::inbox::Inbox;
use crate::postgres::login::{Login, LoginError, Plain};
use crate::settings::TargetSettings;

/// Opens the pool's connections.
pub(super) struct Connector {
    dial: Dial,
    /// SQL that every connection gets first, together with PostgreSQL's own timeouts.
    session_setup: Arc<str>,
    live: Arc<LiveSettings>,
    history: Arc<SizeHistory>,
}

impl Connector {
    pub(super) fn new(
        target: Arc<TargetSettings>,
        live: Arc<LiveSettings>,
        tls: MakeRustlsConnect,
        session_setup: Arc<str>,
        log: &Logger,
    ) -> Self {
        let dial = Dial { live: live.clone(), login: Login::new(target, tls, log), log: log.clone() };
        Self { dial, session_setup, live, history: Arc::default() }
    }

    /// Why the newest connection is not encrypted, if the settings leave that open.
    pub(super) fn plain(&self) -> Option<Plain> {
        self.dial.login.plain()
    }
}

impl managed::Manager for Connector {
    type Type = Connection;
    type Error = LoginError;

    async fn create(&self) -> Result<Connection, LoginError> {
        // Boxed: it is rare, and its 20 KB would be part of the future of every call that uses the pool.
        Box::pin(async {
            let began = Instant::now();
            let mut connection = Connection::open(
                self.dial.connect().await?,
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

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<LoginError> {
        if connection.client().is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

/// Logs in, and logs the driver's events.
struct Dial {
    live: Arc<LiveSettings>,
    login: Login,
    log: Logger,
}

impl Dial {
    /// A connection, and where the messages of its backend come to.
    async fn connect(&self) -> Result<(ClientWrapper, Arc<Inbox>), LoginError> {
        let began = Instant::now();
        let (client, mut connection) = self.login.open(self.live.clocks().connect_timeout).await?;
        let version = connection.parameter("server_version").unwrap_or("?").to_owned();
        let (log, inbox) = (self.log.clone(), Arc::<Inbox>::default());
        let incoming = inbox.clone();
        let task = tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
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
        Ok((ClientWrapper::new(client, task), inbox))
    }
}
