//! Statements that are not read to their end, each waiting with its connection for the next page.
//!
//! A cursor holds a connection and a transaction, so there are few, and each only for a while: the longest unused
//! gives way to a new one, and none lives past its lifetime. The handle is all the state that a client has of it.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pg_guard::Clearance;
use slog::Logger;
use tokio_util::task::AbortOnDropHandle;

use super::settle;
use crate::caller::Caller;
use crate::log::debug;
use crate::messages::database::OF_DATABASE;
use crate::messages::statements::Cursor;
use crate::postgres::cleanup::Cleanup;
use crate::postgres::error::QueryError;
use crate::postgres::pool::Lease;
use crate::postgres::run::Reader;
use crate::postgres::statement::Format;
use crate::settings::MAIN_DATABASE;

/// Of so many cursors that have ended it is known why.
const ENDED_MAX: usize = 64;

/// A statement that can be read on. Its fields end in this order: the reading, then the lease.
pub(super) struct Open {
    /// Whose it is; others cannot read it on, should they come to know its handle.
    pub(super) owner: Arc<str>,
    pub(super) reader: Reader,
    pub(super) lease: Lease,
    pub(super) clearance: Clearance,
    /// How its last page was laid out.
    pub(super) format: Format,
}

impl Open {
    /// Nobody reads on.
    fn close(self) {
        drop(self.reader);
        self.lease.settle(Cleanup::begun(self.clearance).answered(self.clearance.access));
    }

    fn lifetime(&self) -> Duration {
        self.lease.clocks().cursor_lifetime
    }
}

/// Why a cursor is there no more.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Read,
    Expired(Duration),
    Displaced,
    Dropped,
    Failed,
}

/// The cursors of an executor.
#[derive(Clone)]
pub(super) struct Cursors(Rc<RefCell<Table>>);

struct Table {
    /// What handles begin with: which database they are of, where that is not the one that calls need not name.
    prefix: String,
    cursors_max: usize,
    /// The longest unused first.
    waiting: VecDeque<Waiting>,
    in_use: HashSet<String>,
    /// The first ended first.
    ended: VecDeque<(String, Ended)>,
    log: Logger,
}

struct Waiting {
    handle: String,
    open: Open,
    _expiry: AbortOnDropHandle<()>,
}

impl Cursors {
    pub(super) fn new(database: &str, cursors_max: usize, log: &Logger) -> Self {
        let prefix = if database == MAIN_DATABASE { String::new() } else { format!("{database}{OF_DATABASE}") };
        let (waiting, in_use, ended) = Default::default();
        Self(Rc::new(RefCell::new(Table { prefix, cursors_max, waiting, in_use, ended, log: log.clone() })))
    }

    /// So many there may be from now on.
    pub(super) fn allow(&self, cursors_max: usize) {
        self.0.borrow_mut().cursors_max = cursors_max;
    }

    /// Keep a statement for its next page; `None` if there may be no cursor.
    pub(super) fn put(&self, open: Open) -> Option<Cursor> {
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            open.close();
            return None;
        }
        let handle = format!("{}{:032x}", self.0.borrow().prefix, u128::from_be_bytes(bytes));
        self.wait(handle, open)
    }

    fn wait(&self, handle: String, open: Open) -> Option<Cursor> {
        let mut table = self.0.borrow_mut();
        // One connection is left for the calls.
        let most = table.cursors_max.min(open.lease.others_max());
        while table.waiting.len() + table.in_use.len() >= most {
            let Some(unused) = table.waiting.pop_front() else {
                open.close();
                return None;
            };
            table.end(unused.handle, Ended::Displaced);
            unused.open.close();
        }
        let lifetime = open.lifetime();
        let (weak, expiring) = (Rc::downgrade(&self.0), handle.clone());
        let expiry = actix_rt::spawn(async move {
            tokio::time::sleep(lifetime).await;
            if let Some(table) = weak.upgrade() {
                table.borrow_mut().expire(&expiring, lifetime);
            }
        });
        let expiry = AbortOnDropHandle::new(expiry);
        table.waiting.push_back(Waiting { handle: handle.clone(), open, _expiry: expiry });
        Some(Cursor { handle, lifetime })
    }

    /// A cursor of that caller, to read on.
    pub(super) fn take(&self, handle: &str, caller: &Caller) -> Result<Taken, QueryError> {
        let mut table = self.0.borrow_mut();
        let is_it = |waiting: &Waiting| waiting.handle == handle && waiting.open.owner == caller.name;
        let at = table.waiting.iter().position(is_it);
        let Some(Waiting { handle, open, .. }) = at.and_then(|at| table.waiting.remove(at)) else {
            return Err(QueryError::Refused { why: table.why_not(handle) });
        };
        table.in_use.insert(handle.clone());
        let place = Place { cursors: self.clone(), handle, ended: Cell::new(Ended::Dropped) };
        Ok(Taken { open, place })
    }

    /// End those of that client, which has gone.
    pub(super) fn close_those_of(&self, client: &str) {
        let mut table = self.0.borrow_mut();
        let (theirs, others) = table.waiting.drain(..).partition(|waiting| *waiting.open.owner == *client);
        table.waiting = others;
        let theirs: VecDeque<Waiting> = theirs;
        for waiting in theirs {
            debug!(table.log, "cursor closed"; "why" => "its client has gone");
            waiting.open.close();
        }
    }

    /// End them all.
    pub(super) fn close_all(&self) {
        let mut table = self.0.borrow_mut();
        table.cursors_max = 0;
        table.waiting.drain(..).for_each(|waiting| waiting.open.close());
    }
}

impl Table {
    fn expire(&mut self, handle: &str, lifetime: Duration) {
        let at = self.waiting.iter().position(|waiting| waiting.handle == handle);
        if let Some(waiting) = at.and_then(|at| self.waiting.remove(at)) {
            self.end(waiting.handle, Ended::Expired(lifetime));
            waiting.open.close();
        }
    }

    fn end(&mut self, handle: String, ended: Ended) {
        debug!(self.log, "cursor closed"; "why" => ?ended);
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((handle, ended));
    }

    fn why_not(&self, handle: &str) -> String {
        if self.in_use.contains(handle) {
            return "Another call reads from this cursor: wait for its answer.".to_owned();
        }
        let why = match self.ended.iter().find(|(ended, _)| ended == handle).map(|(_, ended)| ended) {
            Some(Ended::Read) => "This cursor has been read to its end.".to_owned(),
            Some(Ended::Expired(after)) => {
                format!("This cursor has expired: it waited for more than {after:?} (MCP_CURSOR_LIFETIME).")
            }
            Some(Ended::Displaced) => {
                "This cursor was closed: a newer one needed its place (MCP_MAX_CURSORS).".to_owned()
            }
            Some(Ended::Dropped) => "This cursor was closed: a call that read from it was cancelled.".to_owned(),
            Some(Ended::Failed) => "This cursor was closed: its statement has failed.".to_owned(),
            None => "There is no such cursor: it was never given to this client, or ended long ago.".to_owned(),
        };
        format!("{why} Run the query again, with ORDER BY … OFFSET if need be.")
    }
}

/// A cursor that a call reads from. Dropped, it is cancelled and closed.
pub(super) struct Taken {
    pub(super) open: Open,
    place: Place,
}

impl Taken {
    /// There is more: it waits again.
    pub(super) fn wait(self) -> Option<Cursor> {
        let Self { open, place } = self;
        let (cursors, handle) = (place.cursors.clone(), place.handle.clone());
        place.leave();
        cursors.wait(handle, open)
    }

    /// It is read to its end.
    pub(super) fn finish(self, left: Cleanup) {
        let Self { open, place } = self;
        place.ended.set(Ended::Read);
        drop(open.reader);
        settle(open.lease, left, None);
    }

    /// Its statement has failed.
    pub(super) fn fail(self, left: Cleanup, error: &QueryError) {
        let Self { open, place } = self;
        place.ended.set(Ended::Failed);
        drop(open.reader);
        settle(open.lease, left, Some(error));
    }
}

/// The place of a cursor in use, given back whichever way the call ends.
struct Place {
    cursors: Cursors,
    handle: String,
    ended: Cell<Ended>,
}

impl Place {
    fn leave(self) {
        self.cursors.0.borrow_mut().in_use.remove(&self.handle);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.cursors.0.borrow_mut();
        // Unless it goes on.
        if table.in_use.remove(&self.handle) {
            table.end(std::mem::take(&mut self.handle), self.ended.get());
        }
    }
}
