//! The client registry: it admits clients, starts a session for each, and passes changed settings on to the sessions.
//!
//! With tokens, the registry owns one client for each token. Without tokens, each connection gets a client of its own,
//! which the connection owns. A session ends when its client is dropped: no message stops it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use actix::WeakAddr;
use actix::prelude::*;
use rustls::ServerConfig;
use slog::Logger;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::access::ClientAccess;
use super::client::{Client, ClientCount};
use crate::actors::session::Session;
use crate::caller::Caller;
use crate::log::{error, info, warn};
use crate::messages::database::{ClientDatabases, DatabaseSet};
use crate::messages::events::{Events, SettingsChanged};
use crate::messages::metrics::MetricsHandle;
use crate::settings::{AccessMode, Settings, TlsSettings, Token};

/// Admits a client. Sent by the authentication of HTTP requests. The reply is `None` if the client is refused.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Option<Arc<Client>>")]
pub enum Admit {
    /// A client with the token that has this SHA-256 hash. It is refused if the hash is not known.
    Bearer([u8; 32]),
    /// A client without a token. It is refused if the daemon uses tokens.
    Anonymous,
}

/// The current rules for the authentication and the listeners.
#[derive(Clone)]
pub struct Rules {
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// The certificate and its key, if the daemon uses TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Rules {
    fn of(settings: Arc<Settings>) -> Result<Self, String> {
        let tls = settings.http.tls.as_ref().map(TlsSettings::server_config).transpose()?;
        Ok(Self { settings, tls })
    }
}

pub struct ClientRegistry {
    rules: watch::Sender<Rules>,
    databases: watch::Receiver<Arc<DatabaseSet>>,
    metrics: MetricsHandle,
    events: Events,
    /// The clients with tokens, by the names of the tokens.
    bearers: HashMap<String, Arc<Client>>,
    anonymous: Vec<Weak<Client>>,
    anonymous_ever: u64,
    sessions: Vec<WeakAddr<Session>>,
    client_count: ClientCount,
    /// The parent of the `ending` tokens of all clients.
    ending: CancellationToken,
    log: Logger,
}

impl ClientRegistry {
    /// A registry without clients. Cancelling `ending` ends all clients.
    ///
    /// # Errors
    /// Which setting cannot be used and why, as a sentence for the operator.
    pub fn new(
        settings: &Settings,
        databases: watch::Receiver<Arc<DatabaseSet>>,
        metrics: MetricsHandle,
        events: Events,
        ending: CancellationToken,
        log: &Logger,
    ) -> Result<Self, String> {
        Ok(Self {
            rules: watch::Sender::new(Rules::of(Arc::new(settings.clone()))?),
            databases,
            metrics,
            events,
            bearers: HashMap::new(),
            anonymous: Vec::new(),
            anonymous_ever: 0,
            sessions: Vec::new(),
            client_count: ClientCount::default(),
            ending,
            log: log.new(slog::o!("logger" => "reception")),
        })
    }

    /// The current rules, with their changes.
    pub fn rules(&self) -> watch::Receiver<Rules> {
        self.rules.subscribe()
    }

    /// A clone of the counter of clients.
    pub fn count(&self) -> ClientCount {
        self.client_count.clone()
    }

    fn bearer(&mut self, hash: [u8; 32]) -> Option<Arc<Client>> {
        let settings = self.rules.borrow().settings.clone();
        let (name, token) = settings.http.tokens.as_ref()?.iter().find(|(_, token)| token.hashes.contains(&hash))?;
        if let Some(client) = self.bearers.get(name) {
            return Some(client.clone());
        }
        let databases = ClientDatabases::named(&token.databases, self.databases.clone());
        let caller = Caller { name: name.as_str().into(), is_anonymous: false, access: token.access };
        let client = self.open(&settings, caller, databases, token.is_operator);
        self.bearers.insert(name.clone(), client.clone());
        Some(client)
    }

    fn anonymous(&mut self) -> Option<Arc<Client>> {
        let settings = self.rules.borrow().settings.clone();
        if settings.http.tokens.is_some() {
            return None;
        }
        self.anonymous_ever += 1;
        // An anonymous client may do what the settings allow, but it is never an operator: only a token can make one.
        let name = format!("client {}", self.anonymous_ever).into();
        let caller = Caller { name, is_anonymous: true, access: AccessMode::ReadWrite };
        let client = self.open(&settings, caller, ClientDatabases::all(self.databases.clone()), false);
        if self.anonymous.len() == self.anonymous.capacity() {
            self.anonymous.retain(|anonymous| anonymous.strong_count() > 0);
        }
        self.anonymous.push(Arc::downgrade(&client));
        Some(client)
    }

    /// Starts the session of a client. If none of its databases can be reached yet, each call returns an error that
    /// says so, and the client is notified when a database can be used.
    fn open(
        &mut self,
        settings: &Settings,
        caller: Caller,
        databases: ClientDatabases,
        is_operator: bool,
    ) -> Arc<Client> {
        let access = ClientAccess::new(&caller, databases.clone());
        let session =
            Session::new(settings, caller.clone(), databases, self.metrics.clone(), self.events.clone(), &self.log)
                .start();
        if self.sessions.len() == self.sessions.capacity() {
            self.sessions.retain(|session| session.upgrade().is_some());
        }
        self.sessions.push(session.downgrade());
        let ending = self.ending.child_token();
        Arc::new(Client::new(caller, session.recipient(), access, is_operator, ending, self.client_count.clone()))
    }

    /// Ends the clients whose rights have changed.
    fn revoke(&mut self, old: &Settings, new: &Settings) {
        let token =
            |settings: &Settings, name: &str| settings.http.tokens.as_ref().and_then(|all| all.get(name).cloned());
        // A changed hash alone is a rotation of the token: the client stays, and has to send the new token.
        let rights = |token: Token| (token.access, token.databases, token.is_operator);
        self.bearers.retain(|name, client| {
            let stays = token(new, name).is_some_and(|new| token(old, name).map(rights) == Some(rights(new)));
            if !stays {
                info!(self.log, "client turned out: its token was taken away or changed"; "client" => name.as_str());
                client.ending.cancel();
            }
            stays
        });
        if new.http.tokens.is_some() {
            let anonymous = self.anonymous.drain(..).filter_map(|anonymous| anonymous.upgrade());
            anonymous.for_each(|anonymous| anonymous.ending.cancel());
        }
    }
}

impl Actor for ClientRegistry {
    type Context = Context<Self>;
}

impl Handler<Admit> for ClientRegistry {
    type Result = MessageResult<Admit>;

    fn handle(&mut self, admit: Admit, _: &mut Context<Self>) -> Self::Result {
        MessageResult(match admit {
            Admit::Bearer(hash) => self.bearer(hash),
            Admit::Anonymous => self.anonymous(),
        })
    }
}

impl Handler<SettingsChanged> for ClientRegistry {
    type Result = ();

    fn handle(&mut self, change: SettingsChanged, _: &mut Context<Self>) {
        let (old, new) = (&change.old.http, &change.new.http);
        if old.addresses != new.addresses {
            warn!(self.log, "MCP_HTTP_ADDR has changed: that takes a restart");
        }
        match Rules::of(change.new.clone()) {
            Ok(rules) => self.rules.send_replace(rules),
            Err(why) => {
                error!(self.log, "certificate not changed"; "why" => why);
                return;
            }
        };
        self.revoke(&change.old, &change.new);
        self.sessions.retain(|session| {
            let session = session.upgrade();
            session.iter().for_each(|session| session.do_send(change.clone()));
            session.is_some()
        });
    }
}
