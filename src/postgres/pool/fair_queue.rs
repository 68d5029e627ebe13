//! The queue in front of a pool: it has as many permits as the pool may have connections, and gives them to the clients
//! in rotation.
//!
//! A client with many calls delays mostly itself. Each client has its own queue of calls, in the order in which they
//! came, and a free permit goes to the first call of the next client. So the only call of a client waits for at most
//! one call of each other client, however many those have.
//!
//! A permit is in use until its connection is idle again or closed. That can be later than the end of the call, if the
//! connection must be cleaned or the statement cancelled. So nothing ever waits inside the pool itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The permits of one pool, and the calls that wait for one.
pub(super) struct FairQueue(Mutex<Waiters>);

/// The right to use one connection of the pool. When it is dropped, the next waiting call gets it.
pub(super) struct Permit(Arc<FairQueue>);

/// How a call enters the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It waits behind its client's other calls, and is refused if the queue is full.
    Normal,
    /// It has had a connection already: it goes to the front of its client's calls, even if the queue is full.
    Retry,
    /// It is a call of this server itself and not of a client; it is not counted.
    Internal,
}

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The waiting calls. While there are any, every permit is in use.
struct Waiters {
    permits: usize,
    in_use: usize,
    /// The clients with waiting calls, each once; the first one gets the next permit.
    clients: VecDeque<ClientQueue>,
    /// The number of all waiting calls, without the internal ones.
    waiting: usize,
    next_number: i64,
}

struct ClientQueue {
    name: Arc<str>,
    /// In the order in which they came, so their numbers ascend.
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

    /// A permit, if one is free now.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut waiters = self.waiters();
        let is_free = waiters.in_use < waiters.permits;
        waiters.in_use += usize::from(is_free);
        is_free.then(|| Permit(self.clone()))
    }

    /// Waits for a permit for a call of that client. If the future is dropped, the call leaves the queue.
    ///
    /// # Errors
    /// `waiting_max` calls wait already, and this client would have the most of them; or this call was the newest of
    /// the client with the most calls when a client with fewer needed room.
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

    /// Change the number of permits. If more are in use than that, they are not given to other calls.
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
        // If that call leaves at this moment, the permit is dropped, and so the call after it gets it.
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
        // No code panics while it has the lock.
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

/// A call in the queue, which leaves it however it ends. A permit that was sent and not received is dropped with
/// `permit`, so the next call gets it.
struct ReleaseOnDrop<'a> {
    queue: &'a FairQueue,
    client: &'a Arc<str>,
    /// None after it has left.
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
    /// Adds a waiting call, and returns the number by which it leaves.
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
                self.clients.push_back(ClientQueue { name: name.clone(), calls: VecDeque::new() });
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

    /// The queue is full: the newest call of the client with the most calls is removed, so that no client is locked out
    /// by the many calls of another.
    fn make_room(&mut self, name: &Arc<str>) -> Result<(), Full> {
        let own = self.clients.iter().find(|client| client.name == *name).map_or(0, |client| client.calls.len());
        let is_internal = |client: &ClientQueue| client.calls.iter().any(|call| call.admission == Admission::Internal);
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
        let removed = calls.remove(position);
        self.waiting -= removed.map_or(0, |waiter| usize::from(waiter.admission != Admission::Internal));
        if calls.is_empty() {
            self.clients.remove(at);
        }
    }

    /// Takes back a permit. Returns the call that gets one now, if any waits.
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
