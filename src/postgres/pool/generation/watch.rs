//! Checks whether the database of a generation can be reached.
//!
//! While it is up, no check is sent by itself: every answer to a call shows that it is reachable. If the last answer is
//! more than 15 s old when the health is read, one empty query is sent. So an unused database is checked at most four
//! times a minute, however often its health is read. While it is not up, it is tried again with growing pauses, so that
//! its return is noticed without a call.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use deadpool::managed::Manager as _;
use tokio_util::task::AbortOnDropHandle;

use super::super::connect;
use super::super::health::{ANSWER_MAX, Condition, HealthState, RETRY, STALE};
use super::super::shared::SharedPool;
use super::Generation;
use crate::postgres::error::{Clock, QueryError};

/// How long a reader of the health waits for the database, if it must be checked.
const PROBE_WAIT_MAX: Duration = Duration::from_secs(1);

impl Generation {
    /// The condition of the database. If what is known is too old, the database is checked first; an answer that takes
    /// longer than a second is not waited for.
    pub async fn condition(self: &Arc<Self>) -> Condition {
        let is_late = self.shared.health.is_older_than(STALE) && !self.shared.health.is_refused() && {
            let shared = self.shared.clone();
            // A task of its own, so that it goes on if the reader of the health stops waiting.
            let probe = tokio::spawn(async move { probe(&shared, STALE, false).await });
            tokio::time::timeout(PROBE_WAIT_MAX, probe).await.is_err()
        };
        self.shared.lift_ceiling(false);
        let mut condition = self.shared.health.condition();
        if is_late && condition.state == HealthState::Up {
            condition.state = HealthState::Degraded;
            condition.since = SystemTime::now();
            condition.why = Some(format!("nothing was heard of it for {STALE:?}, and it does not answer at once"));
        }
        if let Some(allowed) = self.shared.ceiling().lowered()
            && condition.state != HealthState::Down
        {
            condition.state = HealthState::Degraded;
            condition.why = Some(too_few(allowed, self.shared.live.pool().size));
        }
        condition
    }

    /// Watches for the return of the database while it is not up, as long as the handle is kept.
    pub fn watch(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let (shared, health) = (Arc::downgrade(&self.shared), self.shared.health.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                health.not_up().await;
                let mut pause = RETRY.0;
                while let Some(until_next) = health.retry_in(pause) {
                    tokio::time::sleep(until_next).await;
                    // Kept only during the check: the pool must end with its last statement.
                    let Some(shared) = shared.upgrade() else { return };
                    // A call may have reached the database meanwhile.
                    probe(&shared, RETRY.0, true).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }))
    }
}

/// Check whether the database can be reached, unless that has been known for less than `known_for`. With `opening`,
/// also check whether a connection can be opened, if the last attempt failed.
async fn probe(shared: &Arc<SharedPool>, known_for: Duration, opening: bool) {
    let _guard = shared.probing.lock().await;
    if !shared.health.is_older_than(known_for) {
        return;
    }
    // Connections that have died in the pool are found one after another.
    for _ in 0..=shared.live.pool().size {
        // If every connection is in use, a check finds nothing out.
        let Ok(lease) = shared.internal_lease().await else { return };
        let answer = lease.connection().ping();
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(())) => {
                shared.health.answered();
                if opening && !shared.health.can_open() {
                    open_one_more(shared).await;
                }
                return lease.put_back();
            }
            Ok(Err(_)) => drop(lease),
            Err(_) => return shared.health.failed_to_answer(),
        }
    }
}

/// Why a pool whose server allows too few connections is not what the settings ask for.
fn too_few(allowed: usize, wanted: usize) -> String {
    format!(
        "it takes no more connections than {allowed} (SQLSTATE 53300), and POSTGRES_POOL_SIZE is {wanted}: calls wait for \
         those that there are"
    )
}

/// Check whether another connection can be opened, besides the one of the check.
async fn open_one_more(shared: &Arc<SharedPool>) {
    let status = shared.status();
    if status.size >= shared.live.pool().size {
        // The pool is full.
        return shared.health.opened();
    }
    // Together with connections that calls may open meanwhile, there must not be more than the pool allows. The
    // connection of the check and others in use are counted twice here; if that leaves no room, calls find it out.
    let Some(_permit) = shared.queue.try_acquire() else { return };
    if status.size + shared.queue.in_use() > shared.live.pool().size + 1 {
        return;
    }
    let connect_timeout = shared.live.clocks().connect_timeout;
    let opening = tokio::time::timeout(connect_timeout, shared.pool.manager().create());
    let error = match opening.await {
        Ok(Ok(_)) => {
            shared.lift_ceiling(true);
            return shared.health.opened();
        }
        Ok(Err(error)) => connect::query_error(&error, &shared.target_name),
        Err(_) => QueryError::TimedOut { clock: Clock::Connect, after: connect_timeout },
    };
    shared.health.failed_to_open(&error, &shared.target, status.size);
}
