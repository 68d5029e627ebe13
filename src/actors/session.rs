//! The session: one client. It turns a call into a tool's work at one of the databases that the client may ask, and
//! counts the calls in flight.
//!
//! It knows nothing of PostgreSQL or of MCP: calls come to it by name and arguments, whatever protocol they came by,
//! and the tools reach the other actors by the messages that those hear. It never stops reading; past its limit a
//! call is refused at once, so that a cancellation always gets through.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use slog::Logger;

use super::executor::{CloseCursorsOf, ConfigChanged, Database};
use super::metrics::{CallFinished, CallOutcome, SlowQueries, Summary};
use super::wanted::WhileWanted;
use crate::caller::Caller;
use crate::log::{debug, warn};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::tools::{self, Answer, Defaults, Given, Reach, Tool, boundary};

/// Calls a tool. Sent by the protocol's side for each request; dropping the reply cancels the call.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answer, CallError>")]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    pub arguments: Given,
    /// How far it has come, for whoever waits.
    pub progress: Progress,
}

/// Why a call never began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// There is no such tool.
    UnknownTool {
        /// The name that was asked for.
        name: String,
    },
    /// As many calls as the session may have are in flight.
    Busy {
        /// That many: the setting MCP_MAX_IN_FLIGHT.
        in_flight_max: usize,
    },
}

/// The actor.
pub struct Session {
    caller: Caller,
    /// Those that it may ask. A call that names none means the first.
    databases: Arc<[Database]>,
    metrics: Arc<MetricsReach>,
    defaults: Defaults,
    in_flight: Rc<Cell<usize>>,
    in_flight_max: usize,
    data_boundary: bool,
    log: Logger,
}

/// The metrics, as a session knows them.
#[derive(Clone)]
pub struct MetricsReach {
    /// How things have gone.
    pub summary: Recipient<Summary>,
    /// What was slow.
    pub slow_queries: Recipient<SlowQueries>,
    /// What has ended.
    pub finished: Recipient<CallFinished>,
}

impl Session {
    /// The session of that client, which may ask these `databases`; there is at least one.
    pub fn new(
        settings: &Settings,
        caller: Caller,
        databases: Arc<[Database]>,
        metrics: MetricsReach,
        log: &Logger,
    ) -> Self {
        let log = log.new(slog::o!("logger" => "session", "client" => caller.name.to_string()));
        Self {
            caller,
            databases,
            metrics: Arc::new(metrics),
            defaults: Defaults::of(settings),
            in_flight: Rc::default(),
            in_flight_max: settings.limits.in_flight_max,
            data_boundary: settings.data_boundary,
            log,
        }
    }

    /// Which database a call means; its name is taken out of the arguments.
    fn database(&self, tool: &Tool, arguments: &mut Given) -> Result<usize, Answer> {
        let named = if tool.names_database && self.databases.len() > 1 {
            match arguments.take("database").map(|raw| serde_json::from_str(raw.get())) {
                None => None,
                Some(Ok(name)) => name,
                Some(Err(_)) => return Err(self.no_database("`database` must be a string")),
            }
        } else {
            arguments.text("cursor").and_then(|cursor| Database::named_in(&cursor).map(str::to_owned))
        };
        let Some(named) = named else { return Ok(0) };
        let found = self.databases.iter().position(|database| *database.name == *named);
        found.ok_or_else(|| self.no_database(&format!("there is no database {named:?} for this client")))
    }

    fn no_database(&self, why: &str) -> Answer {
        let names: Vec<&str> = self.databases.iter().map(|database| &*database.name).collect();
        Answer::misfit(format!("The call cannot be made: {why}; there are {}.", names.join(", ")))
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        for database in &*self.databases {
            database.close_cursors.do_send(CloseCursorsOf { client: self.caller.name.clone() });
        }
    }
}

impl Handler<Call> for Session {
    type Result = WhileWanted<Result<Answer, CallError>>;

    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> Self::Result {
        let mut running = Running {
            event: CallFinished { tool: "unknown", outcome: CallOutcome::Cancelled, took: Duration::ZERO },
            began: Instant::now(),
            metrics: self.metrics.clone(),
        };
        let Some(tool) = tools::find(&call.tool) else {
            running.event.outcome = CallOutcome::UnknownTool;
            let name = call.tool;
            return WhileWanted::new(async move { Err(CallError::UnknownTool { name }) });
        };
        running.event.tool = tool.name;
        if self.in_flight.get() >= self.in_flight_max {
            running.event.outcome = CallOutcome::Busy;
            warn!(self.log, "call refused: too many in flight"; "tool" => tool.name, "in_flight_max" => self.in_flight_max);
            let in_flight_max = self.in_flight_max;
            return WhileWanted::new(async move { Err(CallError::Busy { in_flight_max }) });
        }
        let place = Place::take(&self.in_flight);
        debug!(self.log, "call begins"; "tool" => tool.name);
        let mut arguments = call.arguments;
        let at = match self.database(tool, &mut arguments) {
            Ok(at) => at,
            Err(answer) => {
                running.event.outcome = answer.outcome();
                return WhileWanted::new(async move { Ok(answer) });
            }
        };
        let (caller, databases, metrics) = (self.caller.clone(), self.databases.clone(), self.metrics.clone());
        let reach = Reach { caller, databases, at, progress: call.progress, metrics };
        let work = (tool.call)(reach, self.defaults, arguments);
        let data_boundary = self.data_boundary;
        WhileWanted::new(async move {
            let answer = work.await;
            running.event.outcome = answer.outcome();
            drop((place, running));
            Ok(if data_boundary { boundary::around(answer) } else { answer })
        })
    }
}

impl Handler<ConfigChanged> for Session {
    type Result = ();

    fn handle(&mut self, change: ConfigChanged, _: &mut Context<Self>) {
        self.defaults = Defaults::of(&change.new);
        self.in_flight_max = change.new.limits.in_flight_max;
        self.data_boundary = change.new.data_boundary;
    }
}

/// A call under way. Whatever becomes of it, its drop tells the metrics, once.
struct Running {
    event: CallFinished,
    began: Instant,
    metrics: Arc<MetricsReach>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.event.took = self.began.elapsed();
        self.metrics.finished.do_send(self.event.clone());
    }
}

/// A call's place among those in flight, given back whichever way the call ends.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(in_flight: &Rc<Cell<usize>>) -> Self {
        in_flight.set(in_flight.get() + 1);
        Self(in_flight.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
