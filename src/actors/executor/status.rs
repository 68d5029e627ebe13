//! The state of the database and of its pool.

use std::time::SystemTime;

use actix::prelude::*;

use super::Executor;
use crate::actors::wanted::WhileWanted;
use crate::messages::admin::{DatabaseStatus, Status};
use crate::postgres::pool::health::{Condition, HealthState};
use crate::settings::RoleCheck;

/// Why the pool for the newest settings could not be opened, and since when it could not.
#[derive(Debug, Clone)]
pub(super) struct ReloadFailure {
    pub(super) since: SystemTime,
    pub(super) why: String,
}

/// The condition of the database, with the failed reload if there is one.
fn overall(condition: Condition, reload_failure: Option<ReloadFailure>) -> Condition {
    let Some(ReloadFailure { since, why }) = reload_failure else { return condition };
    let why = format!("a pool of the changed settings cannot be made, the old one serves: {why}");
    match condition.state {
        HealthState::Up => Condition { state: HealthState::Degraded, since, why: Some(why), next_try: None },
        _ => {
            let both = condition.why.iter().chain([&why]).map(String::as_str).collect::<Vec<_>>().join("; ");
            Condition { why: Some(both), ..condition }
        }
    }
}

impl Handler<Status> for Executor {
    type Result = WhileWanted<DatabaseStatus>;

    fn handle(&mut self, _: Status, _: &mut Context<Self>) -> Self::Result {
        self.older.retain(|draining| !draining.is_over());
        let (generation, reload_failure) = (self.generation.clone(), self.reload_failure.clone());
        let (access, draining) = (self.access, self.older.len());
        let checked = (self.role_check != RoleCheck::Off).then(|| generation.known_findings());
        let role_findings = checked.flatten().unwrap_or_default();
        WhileWanted::new(async move {
            let Condition { state, since, why, next_try } = overall(generation.condition().await, reload_failure);
            DatabaseStatus { pool: generation.status(), state, since, why, next_try, access, draining, role_findings }
        })
    }
}
