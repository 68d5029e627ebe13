//! The table of what clients keep open from one call to the next. A client names an entry by its handle.
//!
//! Each entry occupies a connection, so there are few of them and each has a lifetime. If the table is full, a new
//! entry replaces the entry that has not been used for the longest time. Only the owner of an entry can use it, one
//! call at a time. An entry of an anonymous client can be used by every anonymous client that has its handle. What an
//! entry can be is defined by [`Held`].

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use slog::Logger;
use tokio_util::task::AbortOnDropHandle;

use crate::caller::Principal;
use crate::log::debug;
use crate::random;

/// How many ended handles are remembered, each with its reason.
const ENDED_MAX: usize = 64;

/// Something that a client can keep open under a handle.
pub(super) trait Held: 'static {
    /// Its name in the log.
    const NAME: &'static str;

    /// How long it stays open between two calls.
    fn lifetime(&self) -> Duration;

    /// How many entries there may be in the table, itself included: limited by the connections of its pool.
    fn handles_max(&self) -> usize;

    /// Closes it: no call will use it again.
    fn close(self);
}

/// The handles of an executor, shared with its calls. No method returns a borrow of the table, and none waits.
pub(super) struct Handles<H: Held>(Rc<RefCell<Table<H>>>);

struct Table<H: Held> {
    /// The prefix of all handles.
    prefix: String,
    handles_max: usize,
    /// The entries that no call uses, the longest unused first.
    unused: VecDeque<Unused<H>>,
    in_use: HashSet<String>,
    /// The ended handles with their reasons, the oldest first.
    ended: VecDeque<(String, Ended)>,
    log: Logger,
}

struct Unused<H> {
    handle: String,
    owner: Principal,
    held: H,
    _expiry: AbortOnDropHandle<()>,
}

/// A handle that can be used by a later call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// A random name that cannot be guessed.
    pub(super) handle: String,
    /// How long it can be used, counted from now.
    pub(super) lifetime: Duration,
}

/// Why a handle has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its owner has used it to its end.
    Finished,
    /// It was not used for this time.
    Expired(Duration),
    /// A new handle needed its connection.
    Displaced,
    /// The call that used it was dropped.
    Dropped,
    /// The call that used it has failed.
    Failed,
}

/// Why a handle cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Another call uses it.
    InUse,
    /// It existed and has ended.
    Ended(Ended),
    /// It was never given to this client, or it ended too long ago to be remembered.
    Unknown,
}

impl<H: Held> Handles<H> {
    /// An empty table for at most `handles_max` handles, which all begin with `prefix`.
    pub(super) fn new(prefix: String, handles_max: usize, log: &Logger) -> Self {
        let (unused, in_use, ended) = Default::default();
        Self(Rc::new(RefCell::new(Table { prefix, handles_max, unused, in_use, ended, log: log.clone() })))
    }

    /// Changes the maximum. It applies from the next handle on.
    pub(super) fn set_max(&self, handles_max: usize) {
        self.0.borrow_mut().handles_max = handles_max;
    }

    /// Adds an entry and returns its handle. `None` if the table allows no entry: `held` is then closed.
    pub(super) fn put(&self, owner: Principal, held: H) -> Option<Kept> {
        let Some(word) = random::word() else {
            held.close();
            return None;
        };
        let handle = format!("{}{word}", self.0.borrow().prefix);
        self.keep(handle, owner, held)
    }

    fn keep(&self, handle: String, owner: Principal, held: H) -> Option<Kept> {
        let mut table = self.0.borrow_mut();
        let most = table.handles_max.min(held.handles_max());
        while table.unused.len() + table.in_use.len() >= most {
            let Some(longest_unused) = table.unused.pop_front() else {
                held.close();
                return None;
            };
            table.end(longest_unused.handle, Ended::Displaced);
            longest_unused.held.close();
        }
        let lifetime = held.lifetime();
        let (weak, expiring) = (Rc::downgrade(&self.0), handle.clone());
        let expiry = actix_rt::spawn(async move {
            tokio::time::sleep(lifetime).await;
            if let Some(table) = weak.upgrade() {
                table.borrow_mut().expire(&expiring, lifetime);
            }
        });
        let _expiry = AbortOnDropHandle::new(expiry);
        table.unused.push_back(Unused { handle: handle.clone(), owner, held, _expiry });
        Some(Kept { handle, lifetime })
    }

    /// Takes the entry of that handle and owner for one call.
    pub(super) fn take(&self, handle: &str, owner: &Principal) -> Result<Taken<H>, Unusable> {
        let mut table = self.0.borrow_mut();
        let matches = |unused: &Unused<H>| unused.handle == handle && unused.owner == *owner;
        let at = table.unused.iter().position(matches);
        let Some(Unused { handle, owner, held, .. }) = at.and_then(|at| table.unused.remove(at)) else {
            return Err(table.why_unusable(handle));
        };
        table.in_use.insert(handle.clone());
        let guard = HandleGuard { handles: Self(self.0.clone()), handle, ended: Cell::new(Ended::Dropped) };
        Ok(Taken { held, owner, guard })
    }

    /// Closes the unused entries of an owner that has disconnected.
    pub(super) fn close_owned_by(&self, owner: &str) {
        let mut table = self.0.borrow_mut();
        let (theirs, others) = table.unused.drain(..).partition(|unused| unused.owner.as_deref() == Some(owner));
        table.unused = others;
        let theirs: VecDeque<Unused<H>> = theirs;
        for unused in theirs {
            debug!(table.log, "{} closed", H::NAME; "why" => "its client has gone");
            unused.held.close();
        }
    }

    /// Closes all unused entries and allows no new ones.
    pub(super) fn close_all(&self) {
        let mut table = self.0.borrow_mut();
        table.handles_max = 0;
        table.unused.drain(..).for_each(|unused| unused.held.close());
    }
}

impl<H: Held> Clone for Handles<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H: Held> Table<H> {
    fn expire(&mut self, handle: &str, lifetime: Duration) {
        let at = self.unused.iter().position(|unused| unused.handle == handle);
        if let Some(unused) = at.and_then(|at| self.unused.remove(at)) {
            self.end(unused.handle, Ended::Expired(lifetime));
            unused.held.close();
        }
    }

    fn end(&mut self, handle: String, ended: Ended) {
        debug!(self.log, "{} closed", H::NAME; "why" => ?ended);
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((handle, ended));
    }

    fn why_unusable(&self, handle: &str) -> Unusable {
        if self.in_use.contains(handle) {
            return Unusable::InUse;
        }
        let ended = self.ended.iter().find(|(ended, _)| ended == handle);
        ended.map_or(Unusable::Unknown, |(_, ended)| Unusable::Ended(*ended))
    }
}

/// An entry that a call uses. If it is dropped, `held` is dropped first, and then the handle ends.
pub(super) struct Taken<H: Held> {
    pub(super) held: H,
    owner: Principal,
    guard: HandleGuard<H>,
}

impl<H: Held> Taken<H> {
    /// Puts the entry back for a later call. `None` if the table allows no entry now: it is then closed.
    pub(super) fn keep(self) -> Option<Kept> {
        let Self { held, owner, guard } = self;
        let (handles, handle) = guard.release();
        handles.keep(handle, owner, held)
    }

    /// Ends the handle for this reason and returns the entry, which the caller must close.
    pub(super) fn end(self, ended: Ended) -> H {
        self.guard.ended.set(ended);
        self.held
    }
}

/// The handle of an entry in use. If it is dropped, the handle ends.
struct HandleGuard<H: Held> {
    handles: Handles<H>,
    handle: String,
    ended: Cell<Ended>,
}

impl<H: Held> HandleGuard<H> {
    /// Releases the handle without ending it.
    fn release(self) -> (Handles<H>, String) {
        self.handles.0.borrow_mut().in_use.remove(&self.handle);
        (self.handles.clone(), self.handle.clone())
    }
}

impl<H: Held> Drop for HandleGuard<H> {
    fn drop(&mut self) {
        let mut table = self.handles.0.borrow_mut();
        // A released handle is not in the set.
        if table.in_use.remove(&self.handle) {
            table.end(std::mem::take(&mut self.handle), self.ended.get());
        }
    }
}

#[cfg(test)]
mod tests;
