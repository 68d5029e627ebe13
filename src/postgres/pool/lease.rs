//! A lease: the use of one connection by one call, and how it ends.
//!
//! It ends in one of two ways. [`Lease::settle`] puts the connection back, clean. If the lease is dropped before that,
//! by a cancelled call, a timeout or a panic, the statement is cancelled in PostgreSQL and the connection is closed,
//! because a late cancellation must never hit the next statement. In both cases the permit stays in use until the
//! backend is idle or gone, so there are never more backends than the size of the pool.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{self, Either};
use slog::Logger;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::fair_queue::{Admission, Full, Permit};
use super::shared::{Object, SharedPool};
use crate::log::{info, warn};
use crate::postgres::cancel::CancelError;
use crate::postgres::catalog::{self, blockers::Blockers};
use crate::postgres::cleanup::Cleanup;
use crate::postgres::connection::{Connection, ExecTarget};
use crate::postgres::error::{Blocker, Clock, QueryError, causes};
use crate::settings::{AccessMode, ClockSettings, TargetSettings};

/// How long cleaning may take. After that, the statement that it waits for is cancelled.
const CLEAN_GRACE: Duration = Duration::from_secs(1);

/// The first pause before a cancel request is sent again: the request may have come before its statement, or may have
/// hit another statement on the same connection.
const CANCEL_AGAIN: Duration = Duration::from_millis(10);

/// How long a cancelled backend may take to become idle. After that its connection is closed, which the backend notices
/// by itself.
const CANCEL_GRACE: Duration = Duration::from_secs(2);

/// The longest time for one cancel request. PgBouncer gives one up after 10 seconds by itself (`cancel_wait_timeout`).
const CANCEL_REQUEST_MAX: Duration = Duration::from_secs(15);

/// The first and the longest pause before a server that has refused a connection is asked again.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The longest time for finding who holds the lock that a statement waits for.
const BLOCKERS_WAIT: Duration = Duration::from_millis(500);

/// The use of one connection by one call.
pub struct Lease {
    /// Present until the lease ends.
    connection: Option<PooledConnection>,
    /// The end of the process waits for this lease, and for the cleaning or cancelling after it.
    ending: TaskTrackerToken,
    shared: Arc<SharedPool>,
    /// The timeouts that were configured when it began; they are valid until its end.
    clocks: ClockSettings,
}

/// A connection taken from the pool, with its permit. When it is dropped, the connection goes back to the pool, or is
/// closed if it must not be used again; after that, the next call gets the permit.
struct PooledConnection {
    /// Present until the drop.
    object: Option<Object>,
    is_reusable: bool,
    shared: Arc<SharedPool>,
    _permit: Permit,
}

impl PooledConnection {
    /// Close it instead of putting it back.
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

/// The name of this server's own calls in the queue; no client has it.
pub const INTERNAL_CLIENT: &str = "";

impl SharedPool {
    /// Waits for a connection for one call of that client. `connecting` is called when the call has its permit; a
    /// connection may have to be opened then.
    ///
    /// # Errors
    /// The queue is full; or no connection became free in time, or none could be opened in time. A connection that has
    /// died unnoticed in the pool may be returned: its first statement fails then.
    pub(super) async fn lease(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
        connecting: impl FnOnce(),
    ) -> Result<Lease, QueryError> {
        self.lift_ceiling(false);
        let until = tokio::time::Instant::now() + self.live.clocks().pool_wait_timeout;
        let permit = match self.queue.try_acquire() {
            Some(permit) => permit,
            None => self.permit(client, waiting_max, admission).await?,
        };
        connecting();
        match self.connect().await {
            // Boxed: rare path; keeps the future of every call small.
            Err(error) if self.is_short_of_connections(&error) => {
                Box::pin(self.lease_of_few(client, permit, error, until)).await
            }
            connected => Ok(Lease::new(connected?, permit, self.clone())),
        }
    }

    /// Whether this error of opening a connection means that another connection may become free: the server accepts no
    /// more, or a pooler has refused this one but others are open.
    fn is_short_of_connections(&self, error: &QueryError) -> bool {
        error.is_too_many() || (error.may_be_of_a_pooler() && self.pool.status().size > 0)
    }

    /// The same if the server accepts no more connections: waits for one of the open connections or, if there is none,
    /// until the server accepts one again.
    async fn lease_of_few(
        self: &Arc<Self>,
        client: &Arc<str>,
        mut permit: Permit,
        mut error: QueryError,
        until: tokio::time::Instant,
    ) -> Result<Lease, QueryError> {
        let mut pause = TRY_AGAIN.0;
        loop {
            self.lower_ceiling(&error);
            if self.pool.status().size == 0 {
                if tokio::time::Instant::now() + pause >= until {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(TRY_AGAIN.1);
            } else {
                drop(permit);
                let next = self.queue.acquire(client, usize::MAX, Admission::Retry);
                match tokio::time::timeout_at(until, next).await {
                    Ok(Ok(next)) => permit = next,
                    Ok(Err(Full)) | Err(_) => return Err(error),
                }
            }
            match self.connect().await {
                Err(again) if self.is_short_of_connections(&again) => error = again,
                connected => return Ok(Lease::new(connected?, permit, self.clone())),
            }
        }
    }

    /// The same for this server's own checks. They do not wait if the server accepts no more connections.
    ///
    /// # Errors
    /// No connection became free in time, or none could be opened in time.
    pub(super) async fn internal_lease(self: &Arc<Self>) -> Result<Lease, QueryError> {
        let permit = match self.queue.try_acquire() {
            Some(permit) => permit,
            None => self.permit(&INTERNAL_CLIENT.into(), usize::MAX, Admission::Internal).await?,
        };
        Ok(Lease::new(self.connect().await?, permit, self.clone()))
    }

    /// The backends that hold the locks for which the statement on that connection waits. Another connection is asked,
    /// if one is free.
    async fn blockers(self: &Arc<Self>, waiting: &Connection) -> Vec<Blocker> {
        let ask = async {
            let pid = waiting.pid().await?;
            let permit = self.queue.try_acquire()?;
            let lease = Lease::new(self.connect().await.ok()?, permit, self.clone());
            let blockers = catalog::ask(lease.connection().client(), &Blockers { pid }).await.ok()?;
            lease.put_back();
            Some(blockers)
        };
        tokio::time::timeout(BLOCKERS_WAIT, ask).await.ok().flatten().unwrap_or_default()
    }

    async fn permit(&self, client: &Arc<str>, waiting_max: usize, admission: Admission) -> Result<Permit, QueryError> {
        // It is dropped after the permit of a call that leaves at this moment has come back.
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

/// A call that waits for a permit. If it leaves without one, the connection that was kept for it may not be needed any
/// more.
struct CloseUnused<'a>(Option<&'a SharedPool>);

impl Drop for CloseUnused<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.close_unused();
        }
    }
}

/// Why a connection is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardReason {
    /// The backend has closed it, and said so.
    Closed,
    /// It was lost without a message of its backend: the network may be interrupted, and idle connections with it.
    NetworkCut,
    /// The settings ask for a primary, and the server is none any more; the idle connections lead to it too.
    NotPrimary,
}

impl Lease {
    /// Leases that connection, and sets the configured timeouts in its session if they have changed.
    pub(super) fn new(object: Object, permit: Permit, shared: Arc<SharedPool>) -> Self {
        let current = shared.live.current();
        object.set_server_timeouts(current.server_timeouts);
        let ending = shared.endings.token();
        let connection =
            PooledConnection { object: Some(object), is_reusable: true, shared: shared.clone(), _permit: permit };
        Self { connection: Some(connection), ending, shared, clocks: current.clocks }
    }

    pub fn connection(&self) -> &Connection {
        self.object()
    }

    fn object(&self) -> &Object {
        // Only `drop` and the methods that consume the lease take it out.
        self.connection.as_ref().expect("a lease that has not ended has its connection").object()
    }

    /// How long opening the connection took, if it was opened for this lease.
    pub fn opened_in(&self) -> Option<Duration> {
        Object::metrics(self.object()).recycled.is_none().then(|| self.connection().opened_in)
    }

    /// The connection as a target for statements.
    pub fn exec_target<'a>(&'a self, access: AccessMode, name: &'a str) -> ExecTarget<'a> {
        ExecTarget { connection: self.connection(), access, name }
    }

    /// The number of its generation.
    pub fn generation(&self) -> u64 {
        self.shared.number
    }

    /// The server and user of the connection, for the log and never for a model.
    pub fn target_name(&self) -> Arc<str> {
        self.shared.target_name.clone()
    }

    /// The settings of the server and user of the connection.
    pub fn target(&self) -> &TargetSettings {
        &self.shared.target
    }

    /// The timeouts of statements on it.
    pub fn clocks(&self) -> ClockSettings {
        self.clocks
    }

    /// How many other connections the pool may have.
    pub fn others_max(&self) -> usize {
        self.shared.live.pool().size - 1
    }

    /// The call is over and none of its statements runs: clean the connection and put it back. Nothing waits for that.
    pub fn settle(mut self, cleanup: Cleanup) {
        let Some(mut connection) = self.connection.take() else { return };
        let shared = self.shared.clone();
        if cleanup == Cleanup::NOTHING {
            shared.health.answered();
            return;
        }
        self.ending.task_tracker().spawn(async move {
            if shared.queue.waiting() == 0 {
                // The runtime continues here when nothing else is ready: when the answer has been written.
                tokio::task::yield_now().await;
            }
            let cleaning = connection.object().clean(cleanup);
            let why = match tokio::time::timeout(CLEAN_GRACE, cleaning).await {
                Ok(Ok(true)) => {
                    shared.health.answered();
                    return;
                }
                Ok(Ok(false)) => "a prepared statement was left on it".to_owned(),
                Ok(Err(error)) => causes(&error),
                // A fetch whose rows are not needed any more is still running.
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

    /// The time of its statement is over: cancels it. The error says what is known about the cancellation, and which
    /// backend it waited for.
    pub async fn stop(mut self, clock: Clock, after: Duration) -> QueryError {
        let Some(mut connection) = self.connection.take() else { return QueryError::TimedOut { clock, after } };
        connection.discard();
        let shared = self.shared.clone();
        // A task of its own, so that it goes on if nobody waits for it.
        let stopping = self.ending.task_tracker().spawn(async move {
            let blockers = shared.blockers(connection.object()).await;
            (blockers, cancel(connection, &shared).await)
        });
        match stopping.await {
            Ok((by, true)) if !by.is_empty() => QueryError::Blocked { clock, after, by },
            Ok((_, false)) => QueryError::NoAnswer { clock, after },
            Ok(_) | Err(_) => QueryError::TimedOut { clock, after },
        }
    }

    /// Put the connection back as it is: nothing was sent on it.
    pub(super) fn put_back(mut self) {
        drop(self.connection.take());
    }

    /// Close the connection and do not use it again. Depending on the reason, the idle connections are closed too.
    pub fn discard(self, reason: DiscardReason) {
        match reason {
            DiscardReason::Closed => {}
            DiscardReason::NetworkCut => self.shared.invalidate_idle("a connection was lost without a word"),
            DiscardReason::NotPrimary => self.shared.invalidate_idle("no primary any more"),
        }
        self.shared.health.mark_stale();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        connection.discard();
        // Without a runtime the process is ending: closing the connection is all that can be done.
        if tokio::runtime::Handle::try_current().is_err() || connection.object().client().is_closed() {
            self.shared.health.mark_stale();
            return;
        }
        let shared = self.shared.clone();
        self.ending.task_tracker().spawn(async move {
            cancel(connection, &shared).await;
        });
    }
}

/// Sends a cancel request and waits until the server has accepted it: PgBouncer 1.18 can crash if the request is given up
/// (its issue 801).
async fn ask_to_cancel(request: impl Future<Output = Result<(), CancelError>>, log: Logger) {
    if let Ok(Err(error)) = tokio::time::timeout(CANCEL_REQUEST_MAX, request).await {
        warn!(log, "cancel request failed"; "why" => causes(&*error));
    }
}

/// Cancel the statement on a connection and wait until its backend is idle. The connection is not used again. Returns
/// whether the backend has become idle in time.
async fn cancel(mut connection: PooledConnection, shared: &SharedPool) -> bool {
    connection.discard();
    let began = Instant::now();
    let client = connection.object().client();
    // This is answered when everything sent before it has ended, with or without an error: then the backend is idle.
    let mut idle = pin!(client.batch_execute("ROLLBACK"));
    let cancelled = tokio::time::timeout(CANCEL_GRACE, async {
        let mut pause = CANCEL_AGAIN;
        loop {
            // A task of its own, because it must run to its end although the statement may end first, and a server may
            // leave the connection of the request open.
            let asking = shared.endings.spawn(ask_to_cancel(connection.object().cancel(), shared.log.clone()));
            if let Either::Left(_) = future::select(&mut idle, asking).await {
                return;
            }
            if tokio::time::timeout(pause, &mut idle).await.is_ok() {
                return;
            }
            pause *= 2;
        }
    });
    let in_time = cancelled.await.is_ok();
    if !in_time {
        // The network may be interrupted, and then the idle connections do not work either.
        shared.invalidate_idle("a backend cannot be cancelled");
        shared.health.mark_stale();
    }
    info!(shared.log, "statement cancelled"; "idle" => in_time, "ms" => began.elapsed().as_millis() as u64);
    in_time
}
