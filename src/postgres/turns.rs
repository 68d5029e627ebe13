//! Whose turn it is to have a connection: as many turns as the pool has places, given to the clients in a circle.
//!
//! A client that asks for much waits behind itself: each client's calls are in a line of their own, in the order in
//! which they came, and a turn that becomes free goes to the first call of the client whose turn it is. So a call of a
//! client that has no other waits for at most one call of each of the others, however many they have.
//!
//! A turn is held until its place in the pool is free again, which is later than the end of its call where the
//! connection has to be cleaned or its statement to be cancelled. So nobody ever waits in the pool itself.
//!
//! Where more wait than there are places, calls that may share one have it together. Nobody is passed for that: they are
//! those that are next, one after the other; and who comes when nobody waits may join them. A place that is shared stays
//! so until all of them have left it, and a call that waits for one of its own keeps others from joining. When the last
//! that share have gone, each call has a place of its own again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::oneshot;

/// So many calls have a place together, at most.
const TOGETHER_MAX: usize = 4;

/// The turns of one pool; a `P` is what calls have of a place.
pub(super) struct Turns<P: Default> {
    places: usize,
    line: Mutex<Line<P>>,
}

/// A call's right to a place in the pool. When the last call that has the place drops its own, the place is passed on to
/// whoever is next.
pub(super) struct Turn<P: Default>(Arc<Place<P>>);

struct Place<P: Default> {
    /// Dropped before the place is passed on.
    held: P,
    /// Others may have it too.
    is_shared: bool,
    turns: PassedOn<P>,
}

struct PassedOn<P: Default>(Arc<Turns<P>>);

/// How a call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// For a place of its own.
    Alone,
    /// For a place of its own, or one that it shares with others that wait so.
    OrTogether,
    /// For a place of its own, before the other calls of its client, however full the line is: it has had one already.
    Again,
    /// For a place of its own, in nobody's count: it is this server's, and no client's call.
    Ours,
}

/// There is no room in the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Those who wait. While there are any, no place is free.
struct Line<P: Default> {
    free: usize,
    /// The places that several may have, each for as long as anybody has it.
    shared: Vec<Shared<P>>,
    /// The clients that wait, the next one first; each is here once and has a call that waits.
    clients: VecDeque<Client<P>>,
    /// Calls of all of them, but for our own.
    waiting: usize,
    next_number: i64,
}

struct Shared<P: Default> {
    place: Weak<Place<P>>,
    /// How many have it.
    calls: usize,
    /// Further ones may come to have it.
    is_open: bool,
}

struct Client<P: Default> {
    name: Arc<str>,
    /// The first come first, so their numbers ascend.
    calls: VecDeque<Waiter<P>>,
}

struct Waiter<P: Default> {
    number: i64,
    how: Waiting,
    turn: oneshot::Sender<Turn<P>>,
}

impl<P: Default> Turns<P> {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let line = Line { free: places, shared: Vec::new(), clients: VecDeque::new(), waiting: 0, next_number: 0 };
        Arc::new(Self { places, line: Mutex::new(line) })
    }

    /// A turn, if it need not be waited for: a place is free, or may be shared and nobody waits. While others share places,
    /// so does whoever may.
    pub(super) fn take_at_once(self: &Arc<Self>, how: Waiting) -> Option<Turn<P>> {
        let may_share = how == Waiting::OrTogether;
        let mut line = self.line();
        if line.free == 0 {
            return if may_share { line.join().map(Turn) } else { None };
        }
        line.free -= 1;
        let place = self.place(may_share && !line.shared.is_empty());
        line.begins(&place, 1);
        Some(Turn(place))
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
    ) -> Result<Turn<P>, Full> {
        if let Some(turn) = self.take_at_once(how) {
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

    /// Places that are not free.
    pub(super) fn taken(&self) -> usize {
        self.places - self.line().free
    }

    fn place(self: &Arc<Self>, is_shared: bool) -> Arc<Place<P>> {
        Arc::new(Place { held: P::default(), is_shared, turns: PassedOn(self.clone()) })
    }

    fn line(&self) -> MutexGuard<'_, Line<P>> {
        // Nothing panics while it is held.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Default> Turn<P> {
    /// What the calls that have the place have of it.
    pub(super) fn held(&self) -> &P {
        &self.0.held
    }

    /// Whether others may have the place too.
    pub(super) fn is_shared(&self) -> bool {
        self.0.is_shared
    }

    /// How many have the place.
    pub(super) fn calls(&self) -> usize {
        self.0.turns.0.line().shared(&self.0).map_or(1, |shared| shared.calls)
    }

    /// Nobody else is to have the place, until it is passed on.
    pub(super) fn close(&self) {
        self.0.turns.0.line().shared(&self.0).into_iter().for_each(|shared| shared.is_open = false);
    }
}

impl<P: Default> Drop for Turn<P> {
    fn drop(&mut self) {
        if !self.0.is_shared {
            return;
        }
        let turns = &self.0.turns.0;
        let next = turns.line().left(&self.0, turns.places);
        for waiter in next {
            // If it has left in this very moment, the turn is dropped here, and so passed on.
            let _ = waiter.turn.send(Turn(self.0.clone()));
        }
    }
}

impl<P: Default> Drop for PassedOn<P> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        let next = line.next(self.0.places);
        let Some(first) = next.first() else { return };
        let place = self.0.place(first.how == Waiting::OrTogether);
        line.begins(&place, next.len());
        drop(line);
        for waiter in next {
            let _ = waiter.turn.send(Turn(place.clone()));
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
    turn: oneshot::Receiver<Turn<P>>,
}

impl<P: Default> Drop for Standing<'_, P> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.turns.line().leave(self.client, number);
        }
    }
}

impl<P: Default> Line<P> {
    fn shared(&mut self, place: &Arc<Place<P>>) -> Option<&mut Shared<P>> {
        self.shared.iter_mut().find(|shared| shared.place.as_ptr() == Arc::as_ptr(place))
    }

    /// So many have that place now, which was free.
    fn begins(&mut self, place: &Arc<Place<P>>, calls: usize) {
        if place.is_shared {
            self.shared.push(Shared { place: Arc::downgrade(place), calls, is_open: true });
        }
    }

    /// A place that a call that has just come may have with others, if nobody waits: the one that the fewest have.
    fn join(&mut self) -> Option<Arc<Place<P>>> {
        if !self.clients.is_empty() {
            return None;
        }
        let with_room = self.shared.iter_mut().filter(|shared| shared.is_open && shared.calls < TOGETHER_MAX);
        let fewest = with_room.min_by_key(|shared| shared.calls)?;
        // Who leaves a place says so before letting go of it.
        let place = fewest.place.upgrade()?;
        fewest.calls += 1;
        Some(place)
    }

    /// A call has left a place that it shared; who has it in its stead.
    fn left(&mut self, place: &Arc<Place<P>>, places: usize) -> Vec<Waiter<P>> {
        let share = self.share(places);
        let mut next = Vec::new();
        let Some(shared) = self.shared(place) else { return next };
        shared.calls -= 1;
        let (others, is_open) = (shared.calls, shared.is_open);
        if is_open {
            self.more(share.saturating_sub(others), &mut next);
        }
        match (others + next.len(), self.shared(place)) {
            (0, _) => self.shared.retain(|shared| shared.place.as_ptr() != Arc::as_ptr(place)),
            (calls, shared) => shared.into_iter().for_each(|shared| shared.calls = calls),
        }
        next
    }

    /// How many each place would have if those that wait and those that share were spread over all.
    fn share(&self, places: usize) -> usize {
        let sharing: usize = self.shared.iter().map(|shared| shared.calls).sum();
        (self.waiting + sharing).div_ceil(places).min(TOGETHER_MAX)
    }

    /// So many of those that are next, as far as they may share.
    fn more(&mut self, count: usize, next: &mut Vec<Waiter<P>>) {
        next.extend((0..count).map_while(|_| self.next_if(|waiter| waiter.how == Waiting::OrTogether)));
    }

    /// The number of a call that waits now, by which it may leave.
    fn enter(
        &mut self,
        name: &Arc<str>,
        waiting_max: usize,
        how: Waiting,
        turn: oneshot::Sender<Turn<P>>,
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

    /// Who has the place that has become free: whoever is next, with those behind that may share it as well.
    fn next(&mut self, places: usize) -> Vec<Waiter<P>> {
        let share = self.share(places);
        let mut next = Vec::from_iter(self.next_if(|_| true));
        match next.first().map(|first| first.how) {
            None => self.free += 1,
            Some(Waiting::OrTogether) => self.more(share.saturating_sub(1), &mut next),
            Some(_) => {}
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
