//! The queue in front of a pool: as many permits as the pool may have connections, given to the clients in a circle.
//!
//! A client that asks for much waits behind itself: each client's calls are in a queue of their own, in the order in
//! which they came, and a permit that becomes free goes to the first call of the next client. So a call of a client
//! that has no other call waits for at most one call of each of the others, however many they have.
//!
//! A permit is held until its connection is idle again or closed, which is later than the end of its call where the
//! connection has to be cleaned or its statement to be cancelled. So nobody ever waits in the pool itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The permits of one pool, and the calls that wait for one.
pub(super) struct FairQueue(Mutex<Waiters>);

/// The right to one connection of the pool. Dropped, it goes to the next call that waits.
pub(super) struct Permit(Arc<FairQueue>);

/// What a call may do in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It waits behind its client's other calls, and is refused where the queue is full.
    Normal,
    /// It has had a connection already: it goes before the other calls of its client, however full the queue is.
    Retry,
    /// It is this server's own and no client's call, and is not counted.
    Internal,
}

/// There is no room in the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The calls that wait. While there are any, every permit is in use.
struct Waiters {
    permits: usize,
    in_use: usize,
    /// The clients that have a call waiting, the next one first; each is here once.
    clients: VecDeque<Client>,
    /// Calls of all of them, without the internal ones.
    waiting: usize,
    next_number: i64,
}

struct Client {
    name: Arc<str>,
    /// The first come first, so their numbers ascend.
    calls: VecDeque<Waiter>,
}

struct Waiter {
    number: i64,
    admission: Admission,
    permit: oneshot::Sender<Permit>,
}

impl FairQueue {
    pub(super) fn new(permits: usize) -> Arc<Self> {
        let (in_use, clients, waiting, next_number) = Default::default();
        Arc::new(Self(Mutex::new(Waiters { permits, in_use, clients, waiting, next_number })))
    }

    /// A permit, if there is one at once.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut waiters = self.waiters();
        let is_free = waiters.in_use < waiters.permits;
        waiters.in_use += usize::from(is_free);
        is_free.then(|| Permit(self.clone()))
    }

    /// A permit for a call of that client, when its turn has come. Dropped before that, the call leaves the queue.
    ///
    /// # Errors
    /// `waiting_max` calls wait already, and this client has the most of them, or would have; or it had them by the time
    /// that a client with fewer asked, and this was the newest of its calls.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
    ) -> Result<Permit, Full> {
        if let Some(permit) = self.try_acquire() {
            return Ok(permit);
        }
        let (sender, permit) = oneshot::channel();
        let number = self.waiters().enter(client, waiting_max, admission, sender)?;
        let mut waiting = ReleaseOnDrop { queue: self, client, number: Some(number), permit };
        let permit = (&mut waiting.permit).await;
        waiting.number = None;
        // The sender of a call that was removed from the queue is dropped.
        permit.map_err(|_| Full)
    }

    /// There are so many permits from now on. Where more are in use, they are not given on.
    pub(super) fn resize(self: &Arc<Self>, permits: usize) {
        let mut admitted = Vec::new();
        let mut waiters = self.waiters();
        waiters.permits = permits;
        while let Some(next) = waiters.admit_next() {
            admitted.push(next);
        }
        drop(waiters);
        admitted.into_iter().for_each(|next| self.give(next));
    }

    fn give(self: &Arc<Self>, next: Waiter) {
        // If that call leaves in this very moment, the permit is dropped, and so goes to the one after it.
        let _ = next.permit.send(Permit(self.clone()));
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiters().waiting
    }

    /// How many permits are in use.
    pub(super) fn in_use(&self) -> usize {
        self.waiters().in_use
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let next = self.0.waiters().release();
        if let Some(next) = next {
            self.0.give(next);
        }
    }
}

/// A call in the queue, which leaves it on every way out. A permit that was sent and not received is dropped with
/// `permit`, and so goes to the next.
struct ReleaseOnDrop<'a> {
    queue: &'a FairQueue,
    client: &'a Arc<str>,
    /// None once it has left.
    number: Option<i64>,
    permit: oneshot::Receiver<Permit>,
}

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.queue.waiters().leave(self.client, number);
        }
    }
}

impl Waiters {
    /// A number for a call that waits now, by which it may leave.
    fn enter(
        &mut self,
        name: &Arc<str>,
        waiting_max: usize,
        admission: Admission,
        permit: oneshot::Sender<Permit>,
    ) -> Result<i64, Full> {
        if self.waiting >= waiting_max && admission == Admission::Normal {
            self.make_room(name)?;
        }
        let at = match self.clients.iter().position(|client| client.name == *name) {
            Some(at) => at,
            None => {
                self.clients.push_back(Client { name: name.clone(), calls: VecDeque::new() });
                self.clients.len() - 1
            }
        };
        let calls = &mut self.clients[at].calls;
        let number = match (admission, calls.front()) {
            (Admission::Retry, Some(first)) => first.number - 1,
            _ => self.next_number,
        };
        let waiter = Waiter { number, admission, permit };
        if number == self.next_number {
            self.next_number += 1;
            calls.push_back(waiter);
        } else {
            calls.push_front(waiter);
        }
        self.waiting += usize::from(admission != Admission::Internal);
        Ok(number)
    }

    /// The queue is full: the client with the most calls in it gives up its newest one, so that no client is kept out by
    /// the many calls of another.
    fn make_room(&mut self, name: &Arc<str>) -> Result<(), Full> {
        let own = self.clients.iter().find(|client| client.name == *name).map_or(0, |client| client.calls.len());
        let is_internal = |client: &Client| client.calls.iter().any(|call| call.admission == Admission::Internal);
        let clients = self.clients.iter_mut().filter(|client| !is_internal(client));
        let longest = clients.max_by_key(|client| client.calls.len()).ok_or(Full)?;
        if longest.calls.len() <= own + 1 {
            return Err(Full);
        }
        longest.calls.pop_back();
        self.waiting -= 1;
        Ok(())
    }

    fn leave(&mut self, name: &Arc<str>, number: i64) {
        let Some(at) = self.clients.iter().position(|client| client.name == *name) else { return };
        let calls = &mut self.clients[at].calls;
        let Ok(position) = calls.binary_search_by_key(&number, |waiter| waiter.number) else { return };
        let left = calls.remove(position);
        self.waiting -= left.map_or(0, |waiter| usize::from(waiter.admission != Admission::Internal));
        if calls.is_empty() {
            self.clients.remove(at);
        }
    }

    /// A permit is given back: the call that gets one for it, if any waits.
    fn release(&mut self) -> Option<Waiter> {
        self.in_use -= 1;
        self.admit_next()
    }

    /// The next call that gets a permit, if one is free and a call waits.
    fn admit_next(&mut self) -> Option<Waiter> {
        if self.in_use >= self.permits {
            return None;
        }
        let mut client = self.clients.pop_front()?;
        let waiter = client.calls.pop_front()?;
        self.in_use += 1;
        self.waiting -= usize::from(waiter.admission != Admission::Internal);
        if !client.calls.is_empty() {
            self.clients.push_back(client);
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests;
