//! A reload: the pool for the new settings is opened while the old one still serves, and replaces it when it works.
//! Also the first pool of a database that a reload has added.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::prelude::*;

use super::Executor;
use super::status::ReloadFailure;
use crate::log::{error, info};
use crate::messages::database::DatabaseSummary;
use crate::messages::events::{PoolRebuilt, SettingsChanged};
use crate::messages::statements::{OpenFailure, OpenPool};
use crate::postgres::error::QueryError;
use crate::postgres::pool::{Generation, health};

/// The pause after a failed attempt to open the pool: the first one, and the longest.
const PROBE_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Handler<SettingsChanged> for Executor {
    type Result = ();

    fn handle(&mut self, change: SettingsChanged, context: &mut Context<Self>) {
        // A database that is no longer in the settings is removed from the set of databases, not here.
        let Some((postgres, access)) = change.new.database(&self.name) else { return };
        self.access = access;
        let summary = DatabaseSummary { access, is_structured: change.new.answers_are_structured() };
        self.summary.send_if_modified(|known| std::mem::replace(known, summary) != summary);
        if change.new.policy != *self.guard.policy() {
            self.guard = Arc::new(self.guard.renewed(change.new.policy.clone()));
        }
        self.role_check = change.new.role_check;
        self.log_parameters = change.new.log.parameters;
        self.waiting_max = change.new.limits.waiting_max;
        self.cursors.set_max(change.new.limits.cursors_max);
        // Only the pool for the newest settings is tried.
        if let Some(probe) = self.probe.take() {
            context.cancel_future(probe);
        }
        // Compared with the pool in use and not with `old`, because the pool of an earlier change may have failed to
        // open.
        if self.generation.is_for(&postgres.target, access) {
            if self.generation.change(postgres) {
                info!(self.log, "pool settings changed"; "size" => postgres.pool.size);
                self.warm();
            }
            self.reload_failure = None;
            self.check_role(true);
            return;
        }
        let number = self.generation.number() + 1;
        let generation = match Generation::new(number, postgres, access, self.endings.clone(), &self.log) {
            Ok(generation) => Arc::new(generation),
            Err(why) => {
                error!(self.log, "pool not rebuilt, the old one stays"; "why" => &why);
                self.set_reload_failure("see the log".to_owned());
                self.events.pool_rebuilt.publish(PoolRebuilt { database: self.name.clone(), result: Err(why) });
                return;
            }
        };
        self.probe(generation, PROBE_RETRY.0, context);
    }
}

impl Executor {
    /// Opens the minimum number of connections of a new generation. If that fails, it is tried again after `pause`.
    fn probe(&mut self, generation: Arc<Generation>, pause: Duration, context: &mut Context<Self>) {
        let opening = {
            let generation = generation.clone();
            async move { generation.warm().await }
        };
        let opening = opening.into_actor(self).map(move |opened, executor, context| {
            executor.probe = None;
            match opened {
                Ok(()) => executor.take_over(generation),
                Err(error) => executor.probe_failed(generation, &error, pause, context),
            }
        });
        self.probe = Some(context.spawn(opening));
    }

    /// The new generation replaces the old one.
    fn take_over(&mut self, generation: Arc<Generation>) {
        info!(self.log, "pool rebuilt";
            "generation" => generation.number(), "size" => generation.status().size_max,
            "target" => &*generation.target_name());
        self.reload_failure = None;
        self.watch = Some(generation.watch());
        let rebuilt = PoolRebuilt { database: self.name.clone(), result: Ok(generation.number()) };
        self.events.pool_rebuilt.publish(rebuilt);
        let old = std::mem::replace(&mut self.generation, generation);
        self.older.retain(|draining| !draining.is_over());
        self.older.push(old.retire());
        // The same names may mean other objects in the new database.
        self.guard = Arc::new(self.guard.renewed(self.guard.policy().clone()));
        self.check_role(true);
    }

    /// The new generation could not be opened; the old one stays in use.
    fn probe_failed(
        &mut self,
        generation: Arc<Generation>,
        error: &QueryError,
        pause: Duration,
        context: &mut Context<Self>,
    ) {
        if !context.connected() {
            // The database was removed while its pool was opened.
            return;
        }
        error!(self.log, "pool not rebuilt, the old one stays";
            "why" => error.to_string(), "sqlstate" => error.sqlstate().unwrap_or("").to_owned());
        self.set_reload_failure(health::why(error, generation.target()));
        self.events.pool_rebuilt.publish(PoolRebuilt { database: self.name.clone(), result: Err(error.to_string()) });
        // A refusal (wrong password, no such database) is permanent, and trying again may lock the account. A server
        // that cannot be reached may be back in a moment.
        if error.is_retryable() {
            let next = (pause * 2).min(PROBE_RETRY.1);
            let again = move |executor: &mut Self, context: &mut Context<Self>| {
                executor.probe = None;
                if context.connected() {
                    executor.probe(generation, next, context);
                }
            };
            self.probe = Some(context.run_later(pause, again));
        }
    }

    /// Remembers why the pool for the newest settings could not be opened.
    fn set_reload_failure(&mut self, why: String) {
        let since = self.reload_failure.as_ref().map_or_else(SystemTime::now, |reload_failure| reload_failure.since);
        self.reload_failure = Some(ReloadFailure { since, why });
    }
}

impl Handler<OpenPool> for Executor {
    type Result = ResponseActFuture<Self, Result<(), OpenFailure>>;

    fn handle(&mut self, _: OpenPool, _: &mut Context<Self>) -> Self::Result {
        let generation = self.generation.clone();
        let opening = async move { generation.warm().await };
        Box::pin(opening.into_actor(self).map(|opened, executor, context| {
            if !context.connected() {
                // The database was removed, or its settings have changed again: the result is not used.
                return opened
                    .map_err(|_| OpenFailure { why: "it is no longer needed".to_owned(), is_retryable: false });
            }
            let (database, number) = (executor.name.clone(), executor.generation.number());
            let result = opened.as_ref().map(|()| number).map_err(ToString::to_string);
            executor.events.pool_rebuilt.publish(PoolRebuilt { database, result });
            match opened {
                Ok(()) => {
                    executor.watch = Some(executor.generation.watch());
                    executor.check_role(false);
                    Ok(())
                }
                Err(error) => {
                    error!(executor.log, "the added database cannot be served yet";
                        "why" => error.to_string(), "sqlstate" => error.sqlstate().unwrap_or("").to_owned());
                    let why = health::why(&error, executor.generation.target());
                    Err(OpenFailure { why, is_retryable: error.is_retryable() })
                }
            }
        }))
    }
}
