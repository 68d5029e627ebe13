//! How a database and its pool are, for whoever watches over them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use actix::prelude::*;

use super::Executor;
use crate::actors::wanted::WhileWanted;
use crate::messages::admin::{DatabaseStatus, Status};
use crate::postgres::pool::health::{Condition, State};

/// Why the pool that the settings ask for is not the one that serves, and since when; shared with the attempts to
/// make it.
#[derive(Clone, Default)]
pub(super) struct Trouble(Rc<RefCell<Option<(SystemTime, String)>>>);

impl Trouble {
    /// It does not come about.
    pub(super) fn tell(&self, why: String) {
        let mut trouble = self.0.borrow_mut();
        let since = trouble.as_ref().map_or_else(SystemTime::now, |(since, _)| *since);
        *trouble = Some((since, why));
    }

    /// What serves is what is asked for.
    pub(super) fn is_over(&self) {
        *self.0.borrow_mut() = None;
    }

    /// How the database is, all told.
    fn beside(&self, condition: Condition) -> Condition {
        let Some((since, why)) = self.0.borrow().clone() else { return condition };
        let why = format!("a pool of the changed settings cannot be made, the old one serves: {why}");
        match condition.state {
            State::Up => Condition { state: State::Degraded, since, why: Some(why), next_try: None },
            _ => {
                let both = condition.why.iter().chain([&why]).map(String::as_str).collect::<Vec<_>>().join("; ");
                Condition { why: Some(both), ..condition }
            }
        }
    }
}

impl Handler<Status> for Executor {
    type Result = WhileWanted<DatabaseStatus>;

    fn handle(&mut self, _: Status, _: &mut Context<Self>) -> Self::Result {
        self.older.retain(|draining| !draining.is_over());
        let (generation, trouble) = (self.generation.clone(), self.trouble.clone());
        let (access, draining) = (self.access, self.older.len());
        WhileWanted::new(async move {
            let Condition { state, since, why, next_try } = trouble.beside(generation.condition().await);
            DatabaseStatus { pool: generation.status(), state, since, why, next_try, access, draining }
        })
    }
}
