//! The session: one client. It turns a call into a tool's work, counts the calls in flight, and tells the client's
//! side when the tools have changed.
//!
//! It knows nothing of PostgreSQL or of MCP: calls come to it by name and arguments, whatever protocol they came by,
//! and the tools reach the other actors by the messages that those hear. It never stops reading; past its limit a
//! call is refused at once, so that a cancellation always gets through.

use std::cell::Cell;
use std::rc::Rc;

use actix::prelude::*;
use serde_json::{Map, Value};
use slog::Logger;
use tokio::sync::watch;

use super::executor::ConfigChanged;
use super::wanted::WhileWanted;
use crate::log::{debug, warn};
use crate::progress::Progress;
use crate::settings::{AccessMode, Settings};
use crate::tools::{self, Answer, Defaults, Reach, boundary};

/// Calls a tool. Sent by the protocol's side for each request; dropping the reply cancels the call.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Answer, CallError>")]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
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
    reach: Reach,
    defaults: Defaults,
    in_flight: Rc<Cell<usize>>,
    in_flight_max: usize,
    data_boundary: bool,
    access: watch::Sender<AccessMode>,
    log: Logger,
}

impl Session {
    /// A session that reaches the other actors by `reach`, and publishes the mode (which the tools' descriptions
    /// follow) in `access`.
    pub fn new(settings: &Settings, reach: Reach, access: watch::Sender<AccessMode>, log: &Logger) -> Self {
        Self {
            reach,
            defaults: Defaults::of(settings),
            in_flight: Rc::default(),
            in_flight_max: settings.limits.in_flight_max,
            data_boundary: settings.data_boundary,
            access,
            log: log.new(slog::o!("logger" => "session")),
        }
    }
}

impl Actor for Session {
    type Context = Context<Self>;
}

impl Handler<Call> for Session {
    type Result = WhileWanted<Result<Answer, CallError>>;

    fn handle(&mut self, call: Call, _: &mut Context<Self>) -> Self::Result {
        let Some(tool) = tools::find(&call.tool) else {
            let name = call.tool;
            return WhileWanted::new(async move { Err(CallError::UnknownTool { name }) });
        };
        if self.in_flight.get() >= self.in_flight_max {
            warn!(self.log, "call refused: too many in flight"; "tool" => tool.name, "in_flight_max" => self.in_flight_max);
            let in_flight_max = self.in_flight_max;
            return WhileWanted::new(async move { Err(CallError::Busy { in_flight_max }) });
        }
        let place = Place::take(&self.in_flight);
        debug!(self.log, "call begins"; "tool" => tool.name);
        let reach = Reach { progress: call.progress, ..self.reach.clone() };
        let work = (tool.call)(reach, self.defaults, call.arguments);
        let data_boundary = self.data_boundary;
        WhileWanted::new(async move {
            let answer = work.await;
            drop(place);
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
        self.access.send_if_modified(|access| {
            let modified = *access != change.new.access;
            *access = change.new.access;
            modified
        });
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
