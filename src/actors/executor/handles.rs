//! What clients keep open from one call to the next, and call by a handle.
//!
//! Whatever a handle holds occupies a connection, so there are few handles, and each only for a while: the longest unused
//! gives way to a new one, and none lives past its lifetime. Only its owner can use it, by one call at a time; what belongs to
//! anonymous clients can be used by whoever of them has the handle. What it holds is none of this file's business: see [`Held`].

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use slog::Logger;
use tokio_util::task::AbortOnDropHandle;

use crate::caller::Principal;
use crate::log::debug;
use crate::random;

/// Of so many handles that have ended it is known why.
const ENDED_MAX: usize = 64;

/// What a handle can hold.
pub(super) trait Held: 'static {
    /// What it is called in the log.
    const NAME: &'static str;

    /// How long it waits for the next call.
    fn lifetime(&self) -> Duration;

    /// How many there may be beside it and with it, for the sake of what it occupies.
    fn handles_max(&self) -> usize;

    /// Nobody will use it any more.
    fn close(self);
}

/// The handles of an executor, shared with its calls. No borrow of the table leaves a method, and no method waits.
pub(super) struct Handles<H: Held>(Rc<RefCell<Table<H>>>);

struct Table<H: Held> {
    /// What handles begin with.
    prefix: String,
    handles_max: usize,
    /// The longest unused first.
    unused: VecDeque<Unused<H>>,
    in_use: HashSet<String>,
    /// The first ended first.
    ended: VecDeque<(String, Ended)>,
    log: Logger,
}

struct Unused<H> {
    handle: String,
    owner: Principal,
    held: H,
    _expiry: AbortOnDropHandle<()>,
}

/// A handle that waits for its next use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Nobody can guess it.
    pub(super) handle: String,
    /// How long it waits, from now on.
    pub(super) lifetime: Duration,
}

/// Why a handle has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its owner has used it to its end.
    Finished,
    /// It was not used for this long.
    Expired(Duration),
    /// A new one needed its connection.
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
    /// It was there, and has ended.
    Ended(Ended),
    /// It was never given to that client, or has ended long ago.
    Unknown,
}

impl<H: Held> Handles<H> {
    /// None yet, and never more than `handles_max`. Each begins with `prefix`.
    pub(super) fn new(prefix: String, handles_max: usize, log: &Logger) -> Self {
        let (unused, in_use, ended) = Default::default();
        Self(Rc::new(RefCell::new(Table { prefix, handles_max, unused, in_use, ended, log: log.clone() })))
    }

    /// So many there may be from the next one on.
    pub(super) fn allow(&self, handles_max: usize) {
        self.0.borrow_mut().handles_max = handles_max;
    }

    /// A handle on that, for that owner; `None` if there may be none, and it is closed then.
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

    /// What that handle of that owner holds, for one call.
    pub(super) fn take(&self, handle: &str, owner: &Principal) -> Result<Taken<H>, Unusable> {
        let mut table = self.0.borrow_mut();
        let is_it = |unused: &Unused<H>| unused.handle == handle && unused.owner == *owner;
        let at = table.unused.iter().position(is_it);
        let Some(Unused { handle, owner, held, .. }) = at.and_then(|at| table.unused.remove(at)) else {
            return Err(table.why_not(handle));
        };
        table.in_use.insert(handle.clone());
        let guard = HandleGuard { handles: Self(self.0.clone()), handle, ended: Cell::new(Ended::Dropped) };
        Ok(Taken { held, owner, guard })
    }

    /// End those of that owner that no call uses: it has gone.
    pub(super) fn close_those_of(&self, owner: &str) {
        let mut table = self.0.borrow_mut();
        let (theirs, others) = table.unused.drain(..).partition(|unused| unused.owner.as_deref() == Some(owner));
        table.unused = others;
        let theirs: VecDeque<Unused<H>> = theirs;
        for unused in theirs {
            debug!(table.log, "{} closed", H::NAME; "why" => "its client has gone");
            unused.held.close();
        }
    }

    /// End all that no call uses, and keep none from now on.
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

    fn why_not(&self, handle: &str) -> Unusable {
        if self.in_use.contains(handle) {
            return Unusable::InUse;
        }
        let ended = self.ended.iter().find(|(ended, _)| ended == handle);
        ended.map_or(Unusable::Unknown, |(_, ended)| Unusable::Ended(*ended))
    }
}

/// What a handle holds, while a call uses it. Dropped, the handle has ended; what it held is dropped before.
pub(super) struct Taken<H: Held> {
    pub(super) held: H,
    owner: Principal,
    guard: HandleGuard<H>,
}

impl<H: Held> Taken<H> {
    /// It waits for its next use. `None` if there may be none any more, and it is closed then.
    pub(super) fn keep(self) -> Option<Kept> {
        let Self { held, owner, guard } = self;
        let (handles, handle) = guard.release();
        handles.keep(handle, owner, held)
    }

    /// It has ended so; what it held is the caller's to end.
    pub(super) fn end(self, ended: Ended) -> H {
        self.guard.ended.set(ended);
        self.held
    }
}

/// A handle in use. Dropped, it has ended.
struct HandleGuard<H: Held> {
    handles: Handles<H>,
    handle: String,
    ended: Cell<Ended>,
}

impl<H: Held> HandleGuard<H> {
    /// The handle goes on.
    fn release(self) -> (Handles<H>, String) {
        self.handles.0.borrow_mut().in_use.remove(&self.handle);
        (self.handles.clone(), self.handle.clone())
    }
}

impl<H: Held> Drop for HandleGuard<H> {
    fn drop(&mut self) {
        let mut table = self.handles.0.borrow_mut();
        // It is not there if the handle goes on.
        if table.in_use.remove(&self.handle) {
            table.end(std::mem::take(&mut self.handle), self.ended.get());
        }
    }
}

#[cfg(test)]
mod tests;
