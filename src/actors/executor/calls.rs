//! The calls in flight: what each waits for, how many rows it has read, and how an operator cancels it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use super::Executor;
use crate::log::info;
use crate::messages::admin::{CallInFlight, CallPhase, CallsInFlight, CancelCall};
use crate::messages::call::CallContext;
use crate::postgres::error::{Clock, Phase, QueryError};
use crate::postgres::pool::{Admission, Generation, Lease};
use crate::progress::Progress;
use actix::prelude::*;
use futures_util::FutureExt as _;
use pg_guard::sql::{Operation, normalised};

/// The future of a call may have at most this many bytes. Rare paths are boxed: the path that opens a connection once
/// had 22 KB, and copying it took a third of the time of a call.
const WORK_BYTES_MAX: usize = 4 << 10;

/// How many characters of a statement are shown.
const SQL_CHARS_MAX: usize = 1000;

impl Handler<CallsInFlight> for Executor {
    type Result = MessageResult<CallsInFlight>;

    fn handle(&mut self, _: CallsInFlight, _: &mut Context<Self>) -> Self::Result {
        let shown = |(&id, entry): (&u64, &Rc<CallEntry>)| {
            let (sql, operation) = &*entry.statement.borrow();
            let (rows, bytes) = entry.progress.so_far();
            CallInFlight {
                id,
                database: self.name.clone(),
                client: entry.client.clone(),
                tool: entry.tool,
                operation: operation.as_str(),
                sql: normalised(sql, SQL_CHARS_MAX),
                phase: match entry.phase.get() {
                    Phase::Wait | Phase::Connect => CallPhase::Waiting,
                    _ => CallPhase::Running,
                },
                elapsed: entry.began.elapsed(),
                rows,
                bytes,
            }
        };
        MessageResult(self.calls.0.borrow().iter().map(shown).collect())
    }
}

impl Handler<CancelCall> for Executor {
    type Result = bool;

    fn handle(&mut self, CancelCall { id }: CancelCall, _: &mut Context<Self>) -> bool {
        let Some(entry) = self.calls.0.borrow().get(&id).cloned() else { return false };
        info!(self.log, "call cancelled by an operator"; "call" => id, "client" => &*entry.client, "tool" => entry.tool);
        entry.cancelled.set(true);
        if let Some(waker) = entry.waker.take() {
            waker.wake();
        }
        true
    }
}

/// The calls in flight of an executor.
#[derive(Clone, Default)]
pub(super) struct Calls(Rc<RefCell<BTreeMap<u64, Rc<CallEntry>>>>);

struct CallEntry {
    client: Arc<str>,
    tool: &'static str,
    /// Its current statement and the kind of it.
    statement: RefCell<(Arc<str>, Operation)>,
    began: Instant,
    /// When its own time limit is over, and how long that limit is.
    deadline: Option<(tokio::time::Instant, Duration)>,
    phase: Cell<Phase>,
    progress: Progress,
    cancelled: Cell<bool>,
    /// Wakes the future of the call, so that it sees `cancelled`.
    waker: Cell<Option<Waker>>,
}

impl Calls {
    /// Adds a call, which is in flight until the returned value is dropped.
    pub(super) fn begin(&self, call: &CallContext, (sql, operation): (&Arc<str>, Operation)) -> RunningCall {
        // The numbers are unique in the process, so that a call can be cancelled without naming its database.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let deadline = |after| tokio::time::Instant::now().checked_add(after).map(|at| (at, after));
        let entry = Rc::new(CallEntry {
            client: call.caller.name.clone(),
            tool: call.tool,
            statement: RefCell::new((sql.clone(), operation)),
            began: Instant::now(),
            deadline: call.timeout.and_then(deadline),
            phase: Cell::new(Phase::Wait),
            progress: call.progress.clone().or_counted(),
            cancelled: Cell::default(),
            waker: Cell::default(),
        });
        self.0.borrow_mut().insert(id, entry.clone());
        RunningCall { id, entry, calls: self.clone() }
    }
}

pub(super) struct RunningCall {
    id: u64,
    entry: Rc<CallEntry>,
    calls: Calls,
}

impl RunningCall {
    /// Counts the rows of the call.
    pub(super) fn progress(&self) -> Progress {
        self.entry.progress.clone()
    }

    /// Waits for a connection.
    pub(super) async fn lease(
        &self,
        generation: &Arc<Generation>,
        waiting_max: usize,
        admission: Admission,
    ) -> Result<Lease, QueryError> {
        self.entry.phase.set(Phase::Wait);
        let connecting = || self.entry.phase.set(Phase::Connect);
        let lease = generation.lease_with_notice(&self.entry.client, waiting_max, admission, connecting);
        let lease = self.in_time(lease).await?;
        self.entry.phase.set(Phase::Execute);
        Ok(lease)
    }

    /// The call continues on the connection of its cursor.
    pub(super) fn set_fetching(&self) {
        self.entry.phase.set(Phase::Fetch);
    }

    /// `work` before its statement runs, within the time limit of the call.
    pub(super) fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, QueryError>>,
    ) -> impl Future<Output = Result<T, QueryError>> {
        let Some((at, after)) = self.entry.deadline else { return work.left_future() };
        let out_of_time = move |_| Err(QueryError::TimedOut { clock: self.clock(), after });
        tokio::time::timeout_at(at, work).map(move |done| done.unwrap_or_else(out_of_time)).right_future()
    }

    /// Which clock ends its statement if it begins now: that of the command, or that of the call. Its length, and when it
    /// runs out.
    pub(super) fn limit(&self, command_timeout: Duration) -> (Clock, Duration, tokio::time::Instant) {
        let of_command = tokio::time::Instant::now() + command_timeout;
        match self.entry.deadline {
            Some((at, after)) if at < of_command => (self.clock(), after, at),
            _ => (Clock::Command, command_timeout, of_command),
        }
    }

    /// Whether it has a time limit of its own, and time left.
    pub(super) fn has_time(&self) -> bool {
        self.entry.deadline.is_some_and(|(at, _)| tokio::time::Instant::now() < at)
    }

    fn clock(&self) -> Clock {
        Clock::Call { during: self.entry.phase.get() }
    }

    /// The error as the client receives it: it says if the changes may have been committed.
    pub(super) fn error_for_client(&self, error: QueryError, target: &str) -> QueryError {
        if self.entry.progress.has_commit_started() { error.may_be_committed(target) } else { error }
    }

    /// The error for a call that an operator has cancelled.
    pub(super) fn cancelled(&self) -> QueryError {
        QueryError::Cancelled { phase: self.entry.phase.get() }
    }

    /// A batch has come to this statement.
    pub(super) fn set_statement(&self, sql: &Arc<str>, operation: Operation) {
        *self.entry.statement.borrow_mut() = (sql.clone(), operation);
    }

    /// The result of `work`; `None` if the call is cancelled first. `work` is then dropped.
    pub(super) fn unless_cancelled<'a, T>(
        &'a self,
        work: impl Future<Output = T> + 'a,
    ) -> impl Future<Output = Option<T>> + 'a {
        debug_assert!(size_of_val(&work) <= WORK_BYTES_MAX, "{} bytes for each call", size_of_val(&work));
        // Boxed, because it is large and its owner is moved.
        let mut work = Box::pin(work);
        poll_fn(move |context| match self.poll_cancelled(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => work.as_mut().poll(context).map(Some),
        })
    }

    fn poll_cancelled(&self, context: &TaskContext<'_>) -> Poll<()> {
        if self.entry.cancelled.get() {
            return Poll::Ready(());
        }
        let waker = self.entry.waker.take();
        let is_current = waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        self.entry.waker.set(if is_current { waker } else { Some(context.waker().clone()) });
        Poll::Pending
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.calls.0.borrow_mut().remove(&self.id);
    }
}
