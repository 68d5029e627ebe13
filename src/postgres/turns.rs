//! Whose turn it is to have a connection: as many turns as the pool has places, given to the clients in a circle.
//!
//! A client that asks for much waits behind itself: each client's calls are in a line of their own, in the order in
//! which they came, and a turn that becomes free goes to the first call of the client whose turn it is. So a call of a
//! client that has no other waits for at most one call of each of the others, however many they have.
//!
//! A turn is held until its place in the pool is free again, which is later than the end of its call where the
//! connection has to be cleaned or its statement to be cancelled. So nobody ever waits in the pool itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The turns of one pool.
pub(super) struct Turns {
    places: usize,
    line: Mutex<Line>,
}

/// The right to one place in the pool. Its drop passes it on to whoever is next.
pub(super) struct Turn(Arc<Turns>);

/// There is no room in the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Those who wait. While there are any, no turn is free.
struct Line {
    free: usize,
    /// The clients that wait, the next one first; each is here once and has a call that waits.
    clients: VecDeque<Client>,
    /// Of all of them.
    waiting: usize,
    next_number: u64,
}

struct Client {
    name: Arc<str>,
    /// The first come first, so their numbers ascend.
    calls: VecDeque<Waiter>,
}

struct Waiter {
    number: u64,
    turn: oneshot::Sender<Turn>,
}

impl Turns {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let line = Line { free: places, clients: VecDeque::new(), waiting: 0, next_number: 0 };
        Arc::new(Self { places, line: Mutex::new(line) })
    }

    /// A turn, if one is free: then nobody waits for it.
    pub(super) fn take_free(self: &Arc<Self>) -> Option<Turn> {
        let mut line = self.line();
        line.free = line.free.checked_sub(1)?;
        Some(Turn(self.clone()))
    }

    /// A turn for a call of that client, when it comes. Dropped before that, the call has left the line.
    ///
    /// # Errors
    /// `waiting_max` calls wait already, and this client has the most of them, or would have; or it had them by the time
    /// that a client with fewer asked, and this was the newest of its calls.
    pub(super) async fn take(self: &Arc<Self>, client: &Arc<str>, waiting_max: usize) -> Result<Turn, Full> {
        if let Some(turn) = self.take_free() {
            return Ok(turn);
        }
        let (number, turn) = self.line().enter(client, waiting_max)?;
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

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics while it is held.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.line().next();
        if let Some(next) = next {
            // If that one has left in this very moment, the turn comes back and is dropped, so the one after it is next.
            let _ = next.send(Self(self.0.clone()));
        }
    }
}

/// A call's place in the line, which it leaves whichever way it goes. A turn that was given and not taken is dropped
/// with `turn`, and so passed on.
struct Standing<'a> {
    turns: &'a Turns,
    client: &'a Arc<str>,
    /// None when it has left.
    number: Option<u64>,
    turn: oneshot::Receiver<Turn>,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.turns.line().leave(self.client, number);
        }
    }
}

impl Line {
    fn enter(&mut self, name: &Arc<str>, waiting_max: usize) -> Result<(u64, oneshot::Receiver<Turn>), Full> {
        if self.waiting >= waiting_max {
            self.make_room(name)?;
        }
        let number = self.next_number;
        self.next_number += 1;
        let (tell, turn) = oneshot::channel();
        let waiter = Waiter { number, turn: tell };
        match self.clients.iter_mut().find(|client| client.name == *name) {
            Some(client) => client.calls.push_back(waiter),
            None => self.clients.push_back(Client { name: name.clone(), calls: [waiter].into() }),
        }
        self.waiting += 1;
        Ok((number, turn))
    }

    /// The line is full: whoever has the most in it gives up its newest, so that nobody is kept out by another's many.
    fn make_room(&mut self, name: &Arc<str>) -> Result<(), Full> {
        let own = self.clients.iter().find(|client| client.name == *name).map_or(0, |client| client.calls.len());
        let longest = self.clients.iter_mut().max_by_key(|client| client.calls.len()).ok_or(Full)?;
        if longest.calls.len() <= own + 1 {
            return Err(Full);
        }
        longest.calls.pop_back();
        self.waiting -= 1;
        Ok(())
    }

    fn leave(&mut self, name: &Arc<str>, number: u64) {
        let Some(at) = self.clients.iter().position(|client| client.name == *name) else { return };
        let calls = &mut self.clients[at].calls;
        let Ok(place) = calls.binary_search_by_key(&number, |waiter| waiter.number) else { return };
        calls.remove(place);
        self.waiting -= 1;
        if calls.is_empty() {
            self.clients.remove(at);
        }
    }

    /// Who has the turn that has become free.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let Some(mut client) = self.clients.pop_front() else {
            self.free += 1;
            return None;
        };
        let waiter = client.calls.pop_front()?;
        self.waiting -= 1;
        if !client.calls.is_empty() {
            self.clients.push_back(client);
        }
        Some(waiter.turn)
    }
}

#[cfg(test)]
mod tests;
