//! Finding out whether the database of a generation can be reached.
//!
//! While it is up, nothing is asked of it: every answer says that it is there. Whoever wants to know after 15 s without
//! one has an empty query sent first; so a database that nobody uses is asked four times a minute, however often its
//! health is looked at. While it is not up, it is tried again by and by, so that its return is noticed without a call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deadpool::managed::Manager as _;
use tokio_util::task::AbortOnDropHandle;

use super::super::health::{ANSWER_MAX, Condition, RETRY, STALE, State};
use super::super::shared::Shared;
use super::Generation;
use crate::postgres::error::{Clock, Phase, QueryError};

/// How long whoever asks for the health waits for an answer of the database, where one is needed.
const ASKER_PATIENCE: Duration = Duration::from_secs(1);

impl Generation {
    /// How the database is. It is asked, where what is known of it is too old; an answer that does not come at once is
    /// not waited for.
    pub async fn condition(self: &Arc<Self>) -> Condition {
        let is_late = self.shared.health.is_older_than(STALE) && !self.shared.health.is_refused() && {
            let shared = self.shared.clone();
            // On its own, so that it goes on if whoever wants to know has gone.
            let asking = tokio::spawn(async move { ask(&shared, STALE, false).await });
            tokio::time::timeout(ASKER_PATIENCE, asking).await.is_err()
        };
        let mut condition = self.shared.health.condition();
        if is_late && condition.state == State::Up {
            condition.state = State::Degraded;
            condition.since = SystemTime::now();
            condition.why = Some(format!("nothing was heard of it for {STALE:?}, and it does not answer at once"));
        }
        condition
    }

    /// Notice when the database can be reached again, for as long as the handle is kept.
    pub fn watch(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let (shared, health) = (Arc::downgrade(&self.shared), self.shared.health.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                health.trouble.notified().await;
                let mut pause = RETRY.0;
                while let Some(until_next) = health.retry_in(pause) {
                    tokio::time::sleep(until_next).await;
                    // Held only while it is asked, for it ends with its last statement.
                    let Some(shared) = shared.upgrade() else { return };
                    // A call may have found it out meanwhile.
                    ask(&shared, RETRY.0, true).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }))
    }
}

/// Find out whether the database can be reached, unless somebody has, so short a time ago; and if `opening`, whether
/// another connection can be opened, where the last could not.
async fn ask(shared: &Arc<Shared>, known_for: Duration, opening: bool) {
    let _others_wait = shared.asking.lock().await;
    if !shared.health.is_older_than(known_for) {
        return;
    }
    // Those that have died in the pool are found one by one.
    for _ in 0..=shared.live.pool().size {
        // Where every connection is at work nothing is found out by asking.
        let Ok(lease) = shared.lease_for_ourselves().await else { return };
        let asked = lease.connection().client().batch_execute("");
        match tokio::time::timeout(ANSWER_MAX, asked).await {
            Ok(Ok(())) => {
                shared.health.answered();
                if opening && !shared.health.opens() {
                    open_one_more(shared).await;
                }
                return lease.put_back();
            }
            Ok(Err(_)) => drop(lease),
            Err(_) => return shared.health.has_not_answered(),
        }
    }
}

/// Whether another connection can be opened by now, beside the one that the asker has.
async fn open_one_more(shared: &Arc<Shared>) {
    let status = shared.status();
    if status.size == status.size_max {
        // No more are wanted.
        return shared.health.opened();
    }
    // With those that others may open meanwhile there must not be more than the pool is large. The asker's own is
    // counted twice, and others that are at work; then calls find it out.
    let Some(_permit) = shared.queue.try_acquire() else { return };
    if status.size + shared.queue.in_use() > status.size_max + 1 {
        return;
    }
    let connect_timeout = shared.live.clocks().connect_timeout;
    let opening = tokio::time::timeout(connect_timeout, shared.pool.manager().create());
    let error = match opening.await {
        Ok(Ok(_)) => return shared.health.opened(),
        Ok(Err(error)) => QueryError::of(&error, "", Phase::Connect, &shared.target_name),
        Err(_) => QueryError::TimedOut { clock: Clock::Connect, after: connect_timeout },
    };
    shared.health.has_not_opened(&error, &shared.target, status.size);
}
