//! A lease on one connection of a pool, and how it ends.
//!
//! It ends in one of two ways. [`Lease::settle`] puts the connection back, clean. Dropping it before that, by a cancelled
//! call, a timeout or a panic, cancels the statement in PostgreSQL and throws the connection away, because a cancellation
//! that arrives late must never hit the next statement. In both the permit stays in use until the backend is idle or
//! gone, so there are never more backends than the pool is large.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::fair_queue::{Admission, Full, Permit};
use super::shared::{Object, Shared};
use crate::log::{info, warn};
use crate::postgres::cleanup::{Cleanup, SessionCleanup, TransactionEnd};
use crate::postgres::connection::{Connection, ExecTarget, WATCH_US};
use crate::postgres::error::{Clock, QueryError, causes};
use crate::settings::{AccessMode, ClockSettings, TargetSettings};

/// What a call may leave behind on a connection, undone. `DISCARD ALL` would also drop the driver's own prepared
/// statements, and cannot be sent together with other commands.
const CLEAN: &str = "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES; \
                     SELECT pg_catalog.setseed(pg_catalog.date_part('microseconds', pg_catalog.clock_timestamp()) / 6e7)";

/// How long the cleaning may take before what it waits for is cancelled.
const CLEAN_GRACE: Duration = Duration::from_secs(1);

/// How long a backend is given before it is cancelled once more, at first: the request may have come before its
/// statement, or have hit another one's on the same connection.
const CANCEL_AGAIN: Duration = Duration::from_millis(10);

/// How long a cancelled backend may take to become idle before its connection is closed over its head, which it then
/// notices by itself.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// One connection, for one call.
pub struct Lease {
    /// Present until the lease ends.
    connection: Option<PooledConnection>,
    /// Whoever ends the process waits for this lease too, and for what its end begins.
    ending: TaskTrackerToken,
    shared: Arc<Shared>,
    /// The clocks that were in force when it began: they hold to its end.
    clocks: ClockSettings,
}

/// A connection out of the pool, with the permit for it. Dropped, it goes back to the pool, or is closed if it is not to
/// be used again; the next call gets the permit after that.
struct PooledConnection {
    /// Present until the drop.
    object: Option<Object>,
    is_reusable: bool,
    shared: Arc<Shared>,
    _permit: Permit,
}

impl PooledConnection {
    /// It is not to be used again.
    fn discard(&mut self) {
        self.is_reusable = false;
    }

    fn object(&self) -> &Object {
        self.object.as_ref().expect("it is there until the drop")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if !self.is_reusable || !self.shared.wants_connections() {
            self.object.take().map(Object::take);
        }
        drop(self.object.take());
    }
}

/// By what name this server stands in the queue for itself; no client has it.
pub const OURSELVES: &str = "";

impl Shared {
    /// A connection for one call of that client, when its turn has come. `connecting` is called when the wait is over; a
    /// connection may have to be opened then.
    ///
    /// # Errors
    /// `waiting_max` calls wait already and others have fewer of them; none became free, or none could be opened, in time.
    /// A connection that has died in the pool unseen may be given: the first statement on it tells.
    pub(super) async fn lease(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
        connecting: impl FnOnce(),
    ) -> Result<Lease, QueryError> {
        let permit = match self.queue.try_acquire() {
            Some(permit) => permit,
            None => self.permit(client, waiting_max, admission).await?,
        };
        connecting();
        Ok(Lease::new(self.connect().await?, permit, self.clone()))
    }

    /// The same for what this server does itself.
    ///
    /// # Errors
    /// None became free, or none could be opened, in time.
    pub(super) async fn lease_for_ourselves(self: &Arc<Self>) -> Result<Lease, QueryError> {
        self.lease(&OURSELVES.into(), usize::MAX, Admission::Internal, || {}).await
    }

    async fn permit(&self, client: &Arc<str>, waiting_max: usize, admission: Admission) -> Result<Permit, QueryError> {
        // Dropped after the permit of a call that leaves in this moment has come back.
        let mut leaving = CloseUnused(Some(self));
        let after = self.live.clocks().pool_wait_timeout;
        match tokio::time::timeout(after, self.queue.acquire(client, waiting_max, admission)).await {
            Ok(Ok(permit)) => {
                leaving.0 = None;
                Ok(permit)
            }
            Ok(Err(Full)) => Err(QueryError::Busy { waiting_max }),
            Err(_) => Err(QueryError::TimedOut { clock: Clock::PoolWait, after }),
        }
    }
}

/// A call that waits for a permit. When it leaves without one, the connection that came back for it may be of no use.
struct CloseUnused<'a>(Option<&'a Shared>);

impl Drop for CloseUnused<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.close_unused();
        }
    }
}

impl Lease {
    /// A lease on that connection, which is told the nets of today's clocks if it does not have them yet.
    pub(super) fn new(object: Object, permit: Permit, shared: Arc<Shared>) -> Self {
        let current = shared.live.current();
        object.use_nets(&current.nets);
        let ending = shared.endings.token();
        let connection =
            PooledConnection { object: Some(object), is_reusable: true, shared: shared.clone(), _permit: permit };
        Self { connection: Some(connection), ending, shared, clocks: current.clocks }
    }

    pub fn connection(&self) -> &Connection {
        self.object()
    }

    fn object(&self) -> &Object {
        // The option is emptied only by the methods that consume the lease, and by `drop`.
        self.connection.as_ref().expect("a lease that has not ended has its connection").object()
    }

    /// How long it took to open the connection, if that was done for this lease.
    pub fn opened_in(&self) -> Option<Duration> {
        Object::metrics(self.object()).recycled.is_none().then(|| self.connection().opened_in)
    }

    /// The connection, as a place to run statements.
    pub fn exec_target<'a>(&'a self, access: AccessMode, name: &'a str) -> ExecTarget<'a> {
        let default_read_only = self.shared.access == AccessMode::ReadOnly;
        ExecTarget { connection: self.connection(), access, default_read_only, name }
    }

    /// The number of the generation that it is of.
    pub fn generation(&self) -> u64 {
        self.shared.number
    }

    /// Where the connection leads, for the log and never for a model.
    pub fn target_name(&self) -> Arc<str> {
        self.shared.target_name.clone()
    }

    /// Where the connection leads.
    pub fn target(&self) -> &TargetSettings {
        &self.shared.target
    }

    /// The clocks that hold for what runs on it.
    pub fn clocks(&self) -> ClockSettings {
        self.clocks
    }

    /// How many connections there may be beside it.
    pub fn others_max(&self) -> usize {
        self.shared.live.pool().size - 1
    }

    /// The call is over and no statement of it runs: clean the connection of what may be left on it and put it back.
    /// Nobody waits for that.
    pub fn settle(mut self, cleanup: Cleanup) {
        let Some(mut connection) = self.connection.take() else { return };
        let shared = self.shared.clone();
        if cleanup == Cleanup::NOTHING {
            shared.health.answered();
            return;
        }
        self.ending.task_tracker().spawn(async move {
            if shared.queue.waiting() == 0 {
                // The runtime comes back to this when nothing else is ready: when the answer has been written.
                tokio::task::yield_now().await;
            }
            let cleaning = clean(connection.object(), cleanup, &shared);
            let why = match tokio::time::timeout(CLEAN_GRACE, cleaning).await {
                Ok(Ok(true)) => {
                    shared.health.answered();
                    return;
                }
                Ok(Ok(false)) => "a prepared statement was left on it".to_owned(),
                Ok(Err(error)) => causes(&error),
                // A fetch whose rows nobody wants any more is still under way.
                Err(_) => {
                    cancel(connection, &shared).await;
                    return;
                }
            };
            if !connection.object().client().is_closed() {
                warn!(shared.log, "connection thrown away: it could not be cleaned"; "why" => why);
            }
            connection.discard();
        });
    }

    /// Nothing was sent: put the connection back as it is.
    pub(super) fn put_back(mut self) {
        drop(self.connection.take());
    }

    /// The connection was lost under its call: it is thrown away, and whether the others are of use is to be asked.
    pub fn lost(self) {
        self.shared.health.doubt();
    }

    /// The connection was lost, and its backend has not said why: what lies between us and it may be cut. Neither it nor
    /// those that are idle are used again.
    pub fn cut_off(self) {
        self.shared.distrust("a connection was lost without a word");
        self.lost();
    }

    /// What this connection leads to is not what was asked for any more: neither it nor those that are idle are used again.
    pub fn astray(self) {
        self.shared.distrust("no primary any more");
        self.lost();
    }
}

/// Undo what a call may have left; whether all is undone.
async fn clean(connection: &Connection, cleanup: Cleanup, shared: &Shared) -> Result<bool, tokio_postgres::Error> {
    let end = match cleanup.transaction {
        // A ROLLBACK with nothing to roll back would be a warning in PostgreSQL's log, for each call.
        TransactionEnd::None => "",
        TransactionEnd::Rollback => "ROLLBACK; ",
        TransactionEnd::Commit => "COMMIT; ",
    };
    let reset = match cleanup.session {
        SessionCleanup::Nothing => return connection.client().batch_execute(end).await.map(|()| true),
        SessionCleanup::WhatRollbackLeaves => end.to_owned(),
        SessionCleanup::Everything => {
            let watch = if connection.watches_us { WATCH_US } else { "" };
            let nets = connection.nets();
            format!("{end}{CLEAN}; {}; {nets}{watch}", shared.session)
        }
    };
    // Joined, they are sent without waiting for each other.
    let (ended, is_clean) = join(connection.client().batch_execute(&reset), connection.check()).await;
    ended.and(is_clean)
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        connection.discard();
        // Without a runtime the process ends before this call could: closing the connection is all there is to do.
        if tokio::runtime::Handle::try_current().is_err() || connection.object().client().is_closed() {
            self.shared.health.doubt();
            return;
        }
        let shared = self.shared.clone();
        self.ending.task_tracker().spawn(async move { cancel(connection, &shared).await });
    }
}

/// Cancel what runs on a connection and wait until its backend is idle. It is not used again.
async fn cancel(mut connection: PooledConnection, shared: &Shared) {
    connection.discard();
    let began = Instant::now();
    let client = connection.object().client();
    let token = client.cancel_token();
    // Answered once what was sent before it has ended, by an error or not: then the backend is idle.
    let mut idle = pin!(client.batch_execute("ROLLBACK"));
    let cancelled = tokio::time::timeout(CANCEL_GRACE, async {
        let mut pause = CANCEL_AGAIN;
        loop {
            if let Err(error) = token.cancel_query(shared.tls.clone()).await {
                warn!(shared.log, "cancel request failed"; "why" => causes(&error));
            }
            if tokio::time::timeout(pause, &mut idle).await.is_ok() {
                return;
            }
            pause *= 2;
        }
    });
    let in_time = cancelled.await.is_ok();
    if !in_time {
        // What lies between us and it may be cut, and then those that are idle are no better.
        shared.distrust("a backend cannot be cancelled");
    }
    info!(shared.log, "statement cancelled"; "idle" => in_time, "ms" => began.elapsed().as_millis() as u64);
}
