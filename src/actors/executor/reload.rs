//! A reload: the pool of the new settings is made and tried beside the old one, and takes its place when it works. And the
//! first pool of a database that a reload has added.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use slog::Logger;

use super::Executor;
use super::status::Trouble;
use crate::log::{error, info};
use crate::messages::events::{PoolRebuilt, SettingsChanged};
use crate::messages::statements::{OpenFailure, OpenPool};
use crate::postgres::pool::{Generation, health};

/// How long after a failed probe the next one is tried, at first and at most.
const PROBE_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Handler<SettingsChanged> for Executor {
    type Result = ();

    fn handle(&mut self, change: SettingsChanged, context: &mut Context<Self>) {
        // One that the settings name no more is removed from the set of databases, and hears of no change.
        let Some((postgres, access)) = change.new.database(&self.name) else { return };
        self.access = access;
        self.summary.send_if_modified(|summary| std::mem::replace(&mut summary.access, access) != access);
        if change.new.policy != *self.guard.policy() {
            self.guard = Arc::new(self.guard.renewed(change.new.policy.clone()));
        }
        self.role_check = change.new.role_check;
        self.log_parameters = change.new.log.parameters;
        self.waiting_max = change.new.limits.waiting_max;
        self.cursors.allow(change.new.limits.cursors_max);
        self.reload.set(self.reload.get() + 1);
        // Compared with what is in force here, not with `old`: an earlier change may have failed its probe.
        if self.generation.is_for(&postgres.target, access) {
            if self.generation.change(postgres) {
                info!(self.log, "pool settings changed"; "size" => postgres.pool.size);
                self.warm();
            }
            self.trouble.is_over();
            self.check_role(true);
            return;
        }
        let number = self.generation.number() + 1;
        let generation = match Generation::new(number, postgres, access, self.endings.clone(), &self.log) {
            Ok(generation) => Arc::new(generation),
            Err(why) => {
                error!(self.log, "pool not rebuilt, the old one stays"; "why" => &why);
                self.trouble.tell("see the log".to_owned());
                self.events.pool_rebuilt.tell(PoolRebuilt { database: self.name.clone(), result: Err(why) });
                return;
            }
        };
        let wanted = Wanted { this: self.reload.get(), newest: self.reload.clone(), trouble: self.trouble.clone() };
        let (name, rebuilt) = (self.name.clone(), self.events.pool_rebuilt.clone());
        let failed = move |why| rebuilt.tell(PoolRebuilt { database: name.clone(), result: Err(why) });
        let probing = probe(generation, wanted, failed, self.log.clone());
        // An actor future, so that the swap is an assignment in the actor's own turn.
        context.spawn(probing.into_actor(self).map(|generation, executor, _| {
            if let Some(generation) = generation {
                info!(executor.log, "pool rebuilt";
                    "generation" => generation.number(), "size" => generation.status().size_max,
                    "target" => &*generation.target_name());
                executor.trouble.is_over();
                executor.watch = Some(generation.watch());
                let rebuilt = PoolRebuilt { database: executor.name.clone(), result: Ok(generation.number()) };
                executor.events.pool_rebuilt.tell(rebuilt);
                // The last statement on the old one closes it.
                let old = std::mem::replace(&mut executor.generation, generation);
                executor.older.retain(|draining| !draining.is_over());
                executor.older.push(old.retire());
                // The same names may stand for something else there.
                executor.guard = Arc::new(executor.guard.renewed(executor.guard.policy().clone()));
                executor.check_role(true);
            }
        }));
    }
}

impl Handler<OpenPool> for Executor {
    type Result = ResponseActFuture<Self, Result<(), OpenFailure>>;

    fn handle(&mut self, _: OpenPool, _: &mut Context<Self>) -> Self::Result {
        let generation = self.generation.clone();
        let opening = async move { generation.warm().await };
        Box::pin(opening.into_actor(self).map(|opened, executor, context| {
            if !context.connected() {
                // The database was removed meanwhile, or is tried with other settings: nobody hears this.
                return opened.map_err(|_| OpenFailure { why: "it is not wanted".to_owned(), is_retryable: false });
            }
            let (database, number) = (executor.name.clone(), executor.generation.number());
            let result = opened.as_ref().map(|()| number).map_err(ToString::to_string);
            executor.events.pool_rebuilt.tell(PoolRebuilt { database, result });
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

/// Which reload this is, and which is the newest.
struct Wanted {
    this: u64,
    newest: Rc<Cell<u64>>,
    trouble: Trouble,
}

impl Wanted {
    fn still(&self) -> bool {
        self.this == self.newest.get()
    }
}

/// Open the first connections of a new generation; `None` if that cannot be, or a newer one is wanted by now.
/// `failed` is told of each try that was in vain.
async fn probe(
    generation: Arc<Generation>,
    wanted: Wanted,
    failed: impl Fn(String),
    log: Logger,
) -> Option<Arc<Generation>> {
    let mut pause = PROBE_RETRY.0;
    while wanted.still() {
        match generation.warm().await {
            Ok(()) => return wanted.still().then_some(generation),
            Err(error) => {
                error!(log, "pool not rebuilt, the old one stays";
                    "why" => error.to_string(), "sqlstate" => error.sqlstate().unwrap_or("").to_owned());
                if wanted.still() {
                    wanted.trouble.tell(health::why(&error, generation.target()));
                }
                failed(error.to_string());
                // A refusal (wrong password, no such database) will not go away by itself, and asking again may
                // lock the account. What cannot be reached now may be there in a moment.
                if !error.is_retryable() {
                    return None;
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PROBE_RETRY.1);
    }
    None
}
