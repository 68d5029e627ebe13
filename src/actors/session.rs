//! The session of one client. For each call it finds the tool and the database, runs the tool, and limits the calls in
//! flight.
//!
//! It does not depend on PostgreSQL or on MCP: a call has a name and arguments, whatever protocol it came by, and the
//! tools reach the other actors by their messages. It always accepts messages. A call over the limit is refused at
//! once, so a cancellation is never held up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use slog::Logger;

use super::wanted::WhileWanted;
use crate::caller::Caller;
use crate::log::{debug, warn};
use crate::messages::RawArguments;
use crate::messages::answer::{Answer, Reply};
use crate::messages::call::{Call, CallContext, CallError};
use crate::messages::database::{ClientDatabases, Database};
use crate::messages::events::{CallEnded, CallOutcome, Events, SettingsChanged};
use crate::messages::in_flight::InFlight;
use crate::messages::metrics::MetricsHandle;
use crate::messages::statements::CloseCursorsOf;
use crate::settings::Settings;
use crate::tools::{self, Defaults, ToolContext, boundary};

pub struct Session {
    caller: Caller,
    /// The databases that the client may use.
    databases: Arc<ClientDatabases>,
    metrics: Arc<MetricsHandle>,
    events: Arc<Events>,
    defaults: Defaults,
    /// Counts the calls that the protocol has not counted already.
    in_flight: InFlight,
    in_flight_max: usize,
    data_boundary: bool,
    log: Logger,
}

impl Session {
    /// The session of `caller`, which may use these `databases`.
    pub fn new(
        settings: &Settings,
        caller: Caller,
        databases: ClientDatabases,
        metrics: MetricsHandle,
        events: Events,
        log: &Logger,
    ) -> Self {
        let log = log.new(slog::o!("logger" => "session", "client" => caller.name.to_string()));
        Self {
            caller,
            databases: Arc::new(databases),
            metrics: Arc::new(metrics),
            events: Arc::new(events),
            defaults: Defaults::of(settings),
            in_flight: InFlight::default(),
            in_flight_max: settings.limits.in_flight_max,
            data_boundary: settings.data_boundary,
            log,
        }
    }

    /// The database of a call: named by its arguments or by its cursor, or else the first one.
    fn database(&self, may_be_named: bool, arguments: &RawArguments) -> Result<Arc<Database>, Answer> {
        let (mut named, mut cursor_of) = (None, None);
        if may_be_named {
            named = match arguments.get("database").map(|raw| serde_json::from_str::<Option<String>>(raw.get())) {
                None => None,
                Some(Ok(name)) => name,
                Some(Err(_)) => return Err(self.no_database("`database` must be a string")),
            };
        } else {
            cursor_of = arguments.text("cursor").and_then(|cursor| Database::named_in(&cursor).map(str::to_owned));
        }
        match (named, cursor_of) {
            (Some(name), _) => self.databases.find(&name).ok_or_else(|| self.no_database(&self.why_not_found(&name))),
            (None, Some(name)) => self.databases.find(&name).ok_or_else(|| {
                let closed = || format!("this cursor was closed when the database {name:?} was removed");
                self.no_database(&if self.databases.is_removed(&name) { closed() } else { self.why_not_found(&name) })
            }),
            (None, None) => self.databases.first().ok_or_else(|| {
                Answer::invalid_arguments(
                    "The call cannot be made: no database that this client may ask is served now.",
                )
            }),
        }
    }

    fn why_not_found(&self, name: &str) -> String {
        match self.databases.is_pending(name) {
            true => format!("the database {name:?} cannot be reached yet"),
            false => format!("there is no database {name:?} for this client"),
        }
    }

    fn no_database(&self, why: &str) -> Answer {
        let names = self.databases.names();
        let there = if names.is_empty() { "is none".to_owned() } else { format!("are {}", names.join(", ")) };
        Answer::invalid_arguments(format!("The call cannot be made: {why}; there {there}."))
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        // Those of anonymous clients are for whoever of them has the handle.
        let Some(client) = self.caller.principal() else { return };
        for database in self.databases.now() {
            database.close_cursors.do_send(CloseCursorsOf { client: client.clone() });
        }
    }
}

impl Handler<Call> for Session {
    type Result = WhileWanted<Result<Reply, CallError>>;

    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> Self::Result {
        let mut record = CallRecord {
            event: CallEnded { tool: "unknown", outcome: CallOutcome::Cancelled, took: Duration::ZERO },
            began: Instant::now(),
            events: self.events.clone(),
        };
        let Some(tool) = tools::find(&call.tool) else {
            record.event.outcome = CallOutcome::UnknownTool;
            let name = call.tool;
            return WhileWanted::new(async move { Err(CallError::UnknownTool { name }) });
        };
        record.event.tool = tool.name;
        let permit = match call.permit.map_or_else(|| self.in_flight.permit(self.in_flight_max), Ok) {
            Ok(permit) => permit,
            Err(busy) => {
                record.event.outcome = CallOutcome::Busy;
                warn!(self.log, "call refused: too many in flight"; "tool" => tool.name, "in_flight_max" => self.in_flight_max);
                return WhileWanted::new(async move { Err(CallError::Busy(busy)) });
            }
        };
        debug!(self.log, "call begins"; "tool" => tool.name);
        let may_name_database = tool.names_database && self.databases.are_named();
        let database = match self.database(may_name_database, &call.arguments) {
            Ok(database) => database,
            Err(answer) => {
                record.event.outcome = answer.outcome();
                return WhileWanted::new(async move { Ok(answer.into()) });
            }
        };
        let (databases, metrics) = (self.databases.clone(), self.metrics.clone());
        let call = CallContext {
            arguments: Arc::new(call.arguments),
            progress: call.progress,
            trace: call.trace,
            client: call.client,
            ..CallContext::new(tool.name, self.caller.clone())
        };
        let data_boundary = self.data_boundary;
        // As the list of tools says it.
        let is_structured = database.summary.borrow().is_structured && !data_boundary;
        let work = (tool.call)(ToolContext { call, database, may_name_database, databases, metrics }, self.defaults);
        WhileWanted::new(async move {
            let reply = work.await;
            record.event.outcome = reply.outcome();
            drop((permit, record));
            Ok(match reply {
                Reply::Answer(answer) => {
                    let answer = if is_structured { answer } else { Answer { structured: None, ..answer } };
                    if data_boundary { boundary::around(answer) } else { answer }.into()
                }
                reply => reply,
            })
        })
    }
}

impl Handler<SettingsChanged> for Session {
    type Result = ();

    fn handle(&mut self, change: SettingsChanged, _: &mut Context<Self>) {
        self.defaults = Defaults::of(&change.new);
        self.in_flight_max = change.new.limits.in_flight_max;
        self.data_boundary = change.new.data_boundary;
    }
}

/// The record of a call. However the call ends, the drop of its record reports it exactly once.
struct CallRecord {
    event: CallEnded,
    began: Instant,
    events: Arc<Events>,
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        self.event.took = self.began.elapsed();
        self.events.call_ended.publish(self.event.clone());
    }
}
