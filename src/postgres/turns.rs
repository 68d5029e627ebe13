//! Whose turn it is to have a connection: as many turns as the pool has places, given to the clients in a circle.
//!
//! A client that asks for much waits behind itself: each client's calls are in a line of their own, in the order in
//! which they came, and a turn that becomes free goes to the first call of the client whose turn it is. So a call of a
//! client that has no other waits for at most one call of each of the others, however many they have.
//!
//! A turn is held until its place in the pool is free again, which is later than the end of its call where the
//! connection has to be cleaned or its statement to be cancelled. So nobody ever waits in the pool itself.
//!
//! Where more wait than there are places, calls that may share one have a turn together. Nobody is passed for that: they
//! are those that are next, one after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// So many calls have a turn together, at most.
const TOGETHER_MAX: usize = 4;

/// The turns of one pool; a `P` is what the calls of one turn have of it.
pub(super) struct Turns<P: Default> {
    places: usize,
    line: Mutex<Line<P>>,
}

/// The right to one place in the pool, of a call or of several together. When the last of them drops it, it is passed on
/// to whoever is next.
pub(super) struct Turn<P: Default> {
    /// Dropped before the turn is passed on.
    pub(super) place: P,
    /// How many calls it was given to.
    pub(super) calls: usize,
    _next: PassedOn<P>,
}

struct PassedOn<P: Default>(Arc<Turns<P>>);

/// How a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// For a turn of its own.
    Alone,
    /// For a turn of its own, or one that it shares with others that wait so.
    OrTogether,
    /// For a turn of its own, before the other calls of its client, however full the line is: it has had one already.
    Again,
    /// For a turn of its own, in nobody's count: it is this server's, and no client's call.
    Ours,
}

/// There is no room in the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Those who wait. While there are any, no turn is free.
struct Line<P: Default> {
    free: usize,
    /// The clients that wait, the next one first; each is here once and has a call that waits.
    clients: VecDeque<Client<P>>,
    /// Calls of all of them, but for our own.
    waiting: usize,
    next_number: i64,
}

struct Client<P: Default> {
    name: Arc<str>,
    /// The first come first, so their numbers ascend.
    calls: VecDeque<Waiter<P>>,
}

struct Waiter<P: Default> {
    number: i64,
    how: Waiting,
    turn: oneshot::Sender<Arc<Turn<P>>>,
}

impl<P: Default> Turns<P> {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let line = Line { free: places, clients: VecDeque::new(), waiting: 0, next_number: 0 };
        Arc::new(Self { places, line: Mutex::new(line) })
    }

    /// A turn, if one is free: then nobody waits for it.
    pub(super) fn take_free(self: &Arc<Self>) -> Option<Arc<Turn<P>>> {
        let mut line = self.line();
        line.free = line.free.checked_sub(1)?;
        Some(self.turn(1))
    }

    /// A turn for a call of that client, when it comes. Dropped before that, the call has left the line.
    ///
    /// # Errors
    /// `waiting_max` calls wait already, and this client has the most of them, or would have; or it had them by the time
    /// that a client with fewer asked, and this was the newest of its calls.
    pub(super) async fn take(
        self: &Arc<Self>,
        client: &Arc<str>,
        waiting_max: usize,
        how: Waiting,
    ) -> Result<Arc<Turn<P>>, Full> {
        if let Some(turn) = self.take_free() {
            return Ok(turn);
        }
        let (tell, turn) = oneshot::channel();
        let number = self.line().enter(client, waiting_max, how, tell)?;
        let mut standing = Standing { turns: self, client, number: Some(number), turn };
        let turn = (&mut standing.turn).await;
        standing.number = None;
        // Whoever was sent away finds that nobody can tell it any more.
        turn.map_err(|_| Full)
    }

    /// Calls that wait.
    pub(super) fn waiting(&self) -> usize {
        self.line().waiting
    }

    /// Turns that are not free.
    pub(super) fn taken(&self) -> usize {
        self.places - self.line().free
    }

    fn turn(self: &Arc<Self>, calls: usize) -> Arc<Turn<P>> {
        Arc::new(Turn { place: P::default(), calls, _next: PassedOn(self.clone()) })
    }

    fn line(&self) -> MutexGuard<'_, Line<P>> {
        // Nothing panics while it is held.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Default> Drop for PassedOn<P> {
    fn drop(&mut self) {
        let next = self.0.line().next(self.0.places);
        if next.is_empty() {
            return;
        }
        let turn = self.0.turn(next.len());
        for waiter in next {
            // If all of them have left in this very moment, the turn is dropped here, so those after them are next.
            let _ = waiter.turn.send(turn.clone());
        }
    }
}

/// A call's place in the line, which it leaves whichever way it goes. A turn that was given and not taken is dropped
/// with `turn`, and so passed on.
struct Standing<'a, P: Default> {
    turns: &'a Turns<P>,
    client: &'a Arc<str>,
    /// None when it has left.
    number: Option<i64>,
    turn: oneshot::Receiver<Arc<Turn<P>>>,
}

impl<P: Default> Drop for Standing<'_, P> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.turns.line().leave(self.client, number);
        }
    }
}

impl<P: Default> Line<P> {
    /// The number of a call that waits now, by which it may leave.
    fn enter(
        &mut self,
        name: &Arc<str>,
        waiting_max: usize,
        how: Waiting,
        turn: oneshot::Sender<Arc<Turn<P>>>,
    ) -> Result<i64, Full> {
        if self.waiting >= waiting_max && !matches!(how, Waiting::Again | Waiting::Ours) {
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
        let number = match (how, calls.front()) {
            (Waiting::Again, Some(first)) => first.number - 1,
            _ => self.next_number,
        };
        let waiter = Waiter { number, how, turn };
        if number == self.next_number {
            self.next_number += 1;
            calls.push_back(waiter);
        } else {
            calls.push_front(waiter);
        }
        self.waiting += usize::from(how != Waiting::Ours);
        Ok(number)
    }

    /// The line is full: whoever has the most in it gives up its newest, so that nobody is kept out by another's many.
    fn make_room(&mut self, name: &Arc<str>) -> Result<(), Full> {
        let own = self.clients.iter().find(|client| client.name == *name).map_or(0, |client| client.calls.len());
        let is_ours = |client: &Client<P>| client.calls.iter().any(|waiter| waiter.how == Waiting::Ours);
        let clients = self.clients.iter_mut().filter(|client| !is_ours(client));
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
        let Ok(place) = calls.binary_search_by_key(&number, |waiter| waiter.number) else { return };
        let left = calls.remove(place);
        self.waiting -= left.map_or(0, |waiter| usize::from(waiter.how != Waiting::Ours));
        if calls.is_empty() {
            self.clients.remove(at);
        }
    }

    /// Who has the turn that has become free: whoever is next, with those behind that may share it as well. As many as
    /// there is for each place, so that those who wait are spread over all.
    fn next(&mut self, places: usize) -> Vec<Waiter<P>> {
        let together = self.waiting.div_ceil(places).min(TOGETHER_MAX);
        let Some(first) = self.next_if(|_| true) else {
            self.free += 1;
            return Vec::new();
        };
        let is_together = first.how == Waiting::OrTogether;
        let mut next = vec![first];
        while is_together
            && next.len() < together
            && let Some(waiter) = self.next_if(|waiter| waiter.how == Waiting::OrTogether)
        {
            next.push(waiter);
        }
        next
    }

    fn next_if(&mut self, is_wanted: impl FnOnce(&Waiter<P>) -> bool) -> Option<Waiter<P>> {
        if !is_wanted(self.clients.front()?.calls.front()?) {
            return None;
        }
        let mut client = self.clients.pop_front()?;
        let waiter = client.calls.pop_front()?;
        self.waiting -= usize::from(waiter.how != Waiting::Ours);
        if !client.calls.is_empty() {
            self.clients.push_back(client);
        }
        Some(waiter)
    }
}

#[cfg(test)]
mod tests;
