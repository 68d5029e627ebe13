//! A lease on one connection of a generation, and how it ends.
//!
//! It ends in one of two ways. [`Lease::settle`] puts the connection back, clean. Dropping it before that, by a cancelled
//! call, a timeout or a panic, cancels the statement in PostgreSQL and throws the connection away, because a cancellation
//! that arrives late must never hit the next statement. In both the pool's place stays taken until the backend is idle or
//! gone, so there are never more backends than the pool is large.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join;
use pg_guard::Clearance;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::connection::{Connection, WATCH_US};
use super::error::causes;
use super::pool::fair_queue::Permit;
use super::pool::{Generation, Object};
use super::run::Place;
use crate::log::{info, warn};
use crate::settings::AccessMode;

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

/// What a call may have left on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Its transaction.
    pub transaction: Unended,
    /// What outlives that.
    pub session: Remains,
}

/// A transaction that is still open, or has failed, and how it is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unended {
    /// There is none.
    None,
    /// It is not wanted, or has done nothing but read.
    ToRollBack,
    /// What it did has been answered.
    ToCommit,
}

/// What is left when the transaction has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    Nothing,
    /// What a ROLLBACK does not undo.
    WhatRollbackLeaves,
    /// Anything.
    Anything,
}

impl Left {
    /// Nothing at all.
    pub const NOTHING: Self = Self { transaction: Unended::None, session: Remains::Nothing };

    /// What a statement leaves in a transaction that has begun for it, if nothing of it is answered.
    pub fn begun(clearance: Clearance) -> Self {
        Self {
            transaction: Unended::ToRollBack,
            session: match clearance {
                Clearance { leaves_nothing: true, .. } => Remains::Nothing,
                Clearance { access: AccessMode::ReadOnly, .. } => Remains::WhatRollbackLeaves,
                Clearance { access: AccessMode::ReadWrite, .. } => Remains::Anything,
            },
        }
    }

    /// The same, when it is answered, or part of it and nobody wants the rest: what it did besides reading, such as
    /// NOTIFY, must last in read-write mode.
    #[must_use]
    pub fn answered(self, access: AccessMode) -> Self {
        match (self.transaction, access) {
            (Unended::ToRollBack, AccessMode::ReadWrite) => Self { transaction: Unended::ToCommit, ..self },
            _ => self,
        }
    }

    /// The same, when its transaction has ended.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { transaction: Unended::None, ..self }
    }

    /// Whether it is what a statement leaves that may write.
    pub fn is_of_a_write(self) -> bool {
        self.session == Remains::Anything
    }
}

/// One connection, for one call.
pub struct Lease {
    /// Present until the lease ends.
    connection: Option<PooledConnection>,
    /// Whoever ends the process waits for this lease too, and for what its end begins.
    ending: TaskTrackerToken,
    generation: Arc<Generation>,
}

/// A connection out of the pool, with the permit for it. Dropped, it goes back to the pool, or is closed if it is not to
/// be used again; the next call gets the permit after that.
pub(super) struct PooledConnection {
    /// Present until the drop.
    object: Option<Object>,
    is_reusable: bool,
    _permit: Permit,
}

impl PooledConnection {
    pub(super) fn new(object: Object, permit: Permit) -> Self {
        Self { object: Some(object), is_reusable: true, _permit: permit }
    }

    /// It is not to be used again.
    fn discard(&mut self) {
        self.is_reusable = false;
    }

    fn object(&self) -> &Object {
        #[allow(clippy::expect_used)]
        self.object.as_ref().expect("it is there until the drop")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if !self.is_reusable {
            self.object.take().map(Object::take);
        }
        drop(self.object.take());
    }
}

impl Lease {
    pub(super) fn new(connection: PooledConnection, ending: TaskTrackerToken, generation: Arc<Generation>) -> Self {
        Self { connection: Some(connection), ending, generation }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        self.object()
    }

    fn object(&self) -> &Object {
        // The option is emptied only by the methods that consume the lease, and by `drop`.
        #[allow(clippy::expect_used)]
        self.connection.as_ref().expect("a lease that has not ended has its connection").object()
    }

    /// How long it took to open the connection, if that was done for this lease.
    pub fn opened_in(&self) -> Option<Duration> {
        Object::metrics(self.object()).recycled.is_none().then(|| self.connection().opened_in)
    }

    /// The connection, as a place to run statements.
    pub fn place<'a>(&'a self, access: AccessMode, target: &'a str) -> Place<'a> {
        let default_read_only = self.generation.access == AccessMode::ReadOnly;
        Place { connection: self.connection(), access, default_read_only, target }
    }

    /// The generation it belongs to.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The call is over and no statement of it runs: clean the connection of what may be left on it and put it back.
    /// Nobody waits for that.
    pub fn settle(mut self, left: Left) {
        let Some(mut connection) = self.connection.take() else { return };
        let generation = self.generation.clone();
        if left == Left::NOTHING {
            generation.health.answered();
            return;
        }
        self.ending.task_tracker().spawn(async move {
            if generation.queue.waiting() == 0 {
                // The runtime comes back to this when nothing else is ready: when the answer has been written.
                tokio::task::yield_now().await;
            }
            let cleaning = clean(connection.object(), left, &generation.session);
            let why = match tokio::time::timeout(CLEAN_GRACE, cleaning).await {
                Ok(Ok(true)) => {
                    generation.health.answered();
                    return;
                }
                Ok(Ok(false)) => "a prepared statement was left on it".to_owned(),
                Ok(Err(error)) => causes(&error),
                // A fetch whose rows nobody wants any more is still under way.
                Err(_) => {
                    cancel(connection, &generation).await;
                    return;
                }
            };
            if !connection.object().client().is_closed() {
                warn!(generation.log, "connection thrown away: it could not be cleaned"; "why" => why);
            }
            connection.discard();
        });
    }

    /// Nothing was sent: put the connection back as it is.
    pub(super) fn unused(mut self) {
        drop(self.connection.take());
    }

    /// The connection was lost under its call: it is thrown away, and whether the others are of use is to be asked.
    pub fn lost(self) {
        self.generation.health.doubt();
    }

    /// The connection was lost, and its backend has not said why: what lies between us and it may be cut. Neither it nor
    /// those that are idle are used again.
    pub fn cut_off(self) {
        self.generation.distrust("a connection was lost without a word");
        self.lost();
    }

    /// What this connection leads to is not what was asked for any more: neither it nor those that are idle are used again.
    pub fn astray(self) {
        self.generation.distrust("no primary any more");
        self.lost();
    }
}

/// Undo what a call may have left; whether all is undone.
async fn clean(connection: &Connection, left: Left, session: &str) -> Result<bool, tokio_postgres::Error> {
    let end = match left.transaction {
        // A ROLLBACK with nothing to roll back would be a warning in PostgreSQL's log, for each call.
        Unended::None => "",
        Unended::ToRollBack => "ROLLBACK; ",
        Unended::ToCommit => "COMMIT; ",
    };
    let reset = match left.session {
        Remains::Nothing => return connection.client().batch_execute(end).await.map(|()| true),
        Remains::WhatRollbackLeaves => end.to_owned(),
        Remains::Anything => {
            let watch = if connection.watches_us { WATCH_US } else { "" };
            format!("{end}{CLEAN}; {session}{watch}")
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
            self.generation.health.doubt();
            return;
        }
        let generation = self.generation.clone();
        self.ending.task_tracker().spawn(async move { cancel(connection, &generation).await });
    }
}

/// Cancel what runs on a connection and wait until its backend is idle. It is not used again.
async fn cancel(mut connection: PooledConnection, generation: &Generation) {
    connection.discard();
    let began = Instant::now();
    let client = connection.object().client();
    let token = client.cancel_token();
    // Answered once what was sent before it has ended, by an error or not: then the backend is idle.
    let mut idle = pin!(client.batch_execute("ROLLBACK"));
    let cancelled = tokio::time::timeout(CANCEL_GRACE, async {
        let mut pause = CANCEL_AGAIN;
        loop {
            if let Err(error) = token.cancel_query(generation.tls.clone()).await {
                warn!(generation.log, "cancel request failed"; "why" => causes(&error));
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
        generation.distrust("a backend cannot be cancelled");
    }
    info!(generation.log, "statement cancelled"; "idle" => in_time, "ms" => began.elapsed().as_millis() as u64);
}
