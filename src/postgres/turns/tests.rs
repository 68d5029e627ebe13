use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{Arc, Full, TOGETHER_MAX, Waiting};

type Turns = super::Turns<()>;

type Turn = super::Turn<()>;

type Asking = Pin<Box<dyn Future<Output = Result<Turn, Full>>>>;

/// A call that asks for a turn, and has its place in the line when this returns.
fn ask(turns: &Arc<Turns>, client: &str, waiting_max: usize) -> Asking {
    wait(turns, client, waiting_max, Waiting::Alone)
}

fn wait(turns: &Arc<Turns>, client: &str, waiting_max: usize, how: Waiting) -> Asking {
    let (turns, client) = (turns.clone(), Arc::from(client));
    let mut asking: Asking = Box::pin(async move { turns.take(&client, waiting_max, how).await });
    if let Poll::Ready(known) = poll(&mut asking) {
        asking = Box::pin(std::future::ready(known));
    }
    asking
}

fn poll(asking: &mut Asking) -> Poll<Result<Turn, Full>> {
    asking.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Calls by name, `a1 a2 b1`: the client is the first letter.
fn ask_all(turns: &Arc<Turns>, calls: &str, waiting_max: usize) -> Vec<(String, Asking)> {
    calls.split(' ').map(|call| (call.to_owned(), ask(turns, &call[..1], waiting_max))).collect()
}

/// Which calls have their turn by now; what became of each is taken out.
fn told(calls: &mut Vec<(String, Asking)>) -> Vec<(String, Result<Turn, Full>)> {
    let mut told = Vec::new();
    calls.retain_mut(|(name, asking)| match poll(asking) {
        Poll::Ready(result) => {
            told.push((name.clone(), result));
            false
        }
        Poll::Pending => true,
    });
    told
}

/// In which order the calls have their turns, each of which ends when the next is looked for.
fn order(first: Turn, mut calls: Vec<(String, Asking)>) -> String {
    let (mut order, mut turn) = (Vec::new(), Some(first));
    while !calls.is_empty() {
        drop(turn.take());
        let mut told = told(&mut calls);
        assert_eq!(told.len(), 1, "one turn, one call: {order:?}");
        let (name, result) = told.remove(0);
        order.push(name);
        turn = Some(result.unwrap());
    }
    order.join(" ")
}

#[test]
fn clients_have_their_turns_in_a_circle_and_each_clients_calls_in_their_order() {
    for (come, go) in [
        ("a1 a2 a3", "a1 a2 a3"),
        ("a1 a2 a3 b1", "a1 b1 a2 a3"),
        ("a1 a2 a3 b1 c1 b2", "a1 b1 c1 a2 b2 a3"),
        ("a1 b1 b2 b3 a2 a3", "a1 b1 a2 b2 a3 b3"),
    ] {
        let turns = Turns::new(1);
        let first = turns.take_at_once(Waiting::Alone).unwrap();
        let calls = ask_all(&turns, come, 100);
        assert_eq!(order(first, calls), go, "{come}");
        assert_eq!((turns.waiting(), turns.taken()), (0, 0));
    }
}

#[test]
fn there_are_as_many_turns_as_places() {
    let turns = Turns::new(2);
    let mut calls = ask_all(&turns, "a1 a2 a3 b1", 100);
    let held = told(&mut calls);
    assert_eq!(held.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a1", "a2"]);
    assert!(turns.take_at_once(Waiting::Alone).is_none());
    assert_eq!((turns.waiting(), turns.taken()), (2, 2));
    drop(held);
    assert_eq!(told(&mut calls).len(), 2);
    assert_eq!((turns.waiting(), turns.taken()), (0, 0));
}

#[test]
fn a_call_that_leaves_is_in_nobodys_way() {
    let turns = Turns::new(1);
    let first = turns.take_at_once(Waiting::Alone).unwrap();
    let mut calls = ask_all(&turns, "a1 b1 a2 c1", 100);
    calls.retain(|(name, _)| name != "b1" && name != "a1");
    assert_eq!(turns.waiting(), 2);
    assert_eq!(order(first, calls), "a2 c1");
}

#[test]
fn a_turn_given_to_a_call_that_leaves_in_that_moment_goes_to_the_next() {
    let turns = Turns::new(1);
    let first = turns.take_at_once(Waiting::Alone).unwrap();
    let mut calls = ask_all(&turns, "a1 b1 c1", 100);
    drop(first);
    // It is theirs by now, and they have not looked: a1 first, and when that has gone b1.
    assert_eq!(turns.waiting(), 2);
    drop(calls.remove(0));
    drop(calls.remove(0));
    let told = told(&mut calls);
    assert_eq!(told[0].0, "c1");
    drop(told);
    assert_eq!((turns.waiting(), turns.taken()), (0, 0));
}

#[test]
fn when_the_line_is_full_the_newest_of_the_client_with_the_most_is_sent_away() {
    for (come, refused, go) in [
        // The newcomer, where it is the one with the most.
        ("a1 a2 a3 a4 a5", "a5", "a1 a2 a3 a4"),
        // A client that has few is let in.
        ("a1 a2 a3 a4 b1", "a4", "a1 b1 a2 a3"),
        ("a1 a2 a3 a4 b1 b2", "a4 a3", "a1 b1 a2 b2"),
        // Until it has as many.
        ("a1 a2 a3 a4 b1 b2 b3", "a4 a3 b3", "a1 b1 a2 b2"),
        ("a1 a2 b1 b2 c1", "b2", "a1 b1 c1 a2"),
        // Nobody has more than one.
        ("a1 b1 c1 d1 e1", "e1", "a1 b1 c1 d1"),
    ] {
        let turns = Turns::new(1);
        let first = turns.take_at_once(Waiting::Alone).unwrap();
        let (mut calls, mut gone) = (Vec::new(), Vec::new());
        for call in come.split(' ') {
            calls.extend(ask_all(&turns, call, 4));
            for (name, result) in told(&mut calls) {
                assert_eq!(result.err(), Some(Full));
                gone.push(name);
            }
        }
        assert_eq!(gone.join(" "), refused, "{come}");
        assert_eq!(order(first, calls), go, "{come}");
    }
}

/// The same as [`ask_all`], where small letters may share a place.
fn wait_all(turns: &Arc<Turns>, calls: &str) -> Vec<(String, Asking)> {
    let how = |call: &str| if call.starts_with(char::is_uppercase) { Waiting::Alone } else { Waiting::OrTogether };
    let wait = |call: &str| (call.to_owned(), wait(turns, &call[..1].to_lowercase(), 100, how(call)));
    calls.split(' ').map(wait).collect()
}

/// Who has which place, in the order of their names: `a1+a2 b1`.
fn places(held: &[(String, Turn)]) -> String {
    let mut places: Vec<(*const (), Vec<&str>)> = Vec::new();
    for (name, turn) in held {
        let place = Arc::as_ptr(&turn.0).cast();
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, names)) => names.push(name),
            None => places.push((place, vec![name])),
        }
    }
    let mut places: Vec<String> = places
        .into_iter()
        .map(|(_, mut names)| {
            names.sort_unstable();
            names.join("+")
        })
        .collect();
    places.sort_unstable();
    places.join(" ")
}

/// Those that have their turns by now have them.
fn seat(calls: &mut Vec<(String, Asking)>, held: &mut Vec<(String, Turn)>) {
    held.extend(told(calls).into_iter().map(|(name, turn)| (name, turn.unwrap())));
}

fn leave(held: &mut Vec<(String, Turn)>, name: &str) {
    let before = held.len();
    held.retain(|(held, _)| held != name);
    assert_eq!(held.len(), before - 1, "{name}");
}

#[test]
fn calls_that_may_share_a_place_and_are_next_have_it_together() {
    for (count, come, then) in [
        // As many as there are for each place.
        (1, "a1 a2 a3", "a1+a2+a3"),
        (2, "a1 a2 a3", "a1+a2"),
        (3, "a1 a2 a3", "a1"),
        (1, "a1 a2 a3 a4 a5 a6", "a1+a2+a3+a4"),
        // In the order of their turns, and nobody is passed.
        (1, "a1 a2 b1 c1", "a1+a2+b1+c1"),
        (1, "a1 a2 a3 a4 b1", "a1+a2+a3+b1"),
        (1, "a1 A2 a3", "a1"),
        (1, "A1 a2 a3 B1", "A1"),
    ] {
        let turns = Turns::new(count);
        let mut first: Vec<_> = (0..count).map(|_| turns.take_at_once(Waiting::Alone).unwrap()).collect();
        let (mut calls, mut held) = (wait_all(&turns, come), Vec::new());
        first.pop();
        seat(&mut calls, &mut held);
        assert_eq!(places(&held), then, "{count}: {come}");
        assert!(held.iter().all(|(_, turn)| turn.calls() == held.len()), "{come}");
        drop((first, held, calls));
        assert_eq!((turns.waiting(), turns.taken(), turns.line().shared.len()), (0, 0, 0), "{come}");
    }
}

#[test]
fn whoever_leaves_a_shared_place_has_the_next_call_in_its_stead_if_that_may_share() {
    let turns = Turns::new(1);
    let first = turns.take_at_once(Waiting::Alone).unwrap();
    let (mut calls, mut held) = (wait_all(&turns, "a1 a2 a3 a4 a5 a6 A7 a8"), Vec::new());
    drop(first);
    for (left, then) in [
        (None, "a1+a2+a3+a4"),
        (Some("a2"), "a1+a3+a4+a5"),
        (Some("a5"), "a1+a3+a4+a6"),
        // The next wants a place of its own, and nobody passes it.
        (Some("a1"), "a3+a4+a6"),
        (Some("a3"), "a4+a6"),
        (Some("a6"), "a4"),
        (Some("a4"), "A7"),
        (Some("A7"), "a8"),
    ] {
        left.into_iter().for_each(|name| leave(&mut held, name));
        seat(&mut calls, &mut held);
        assert_eq!(places(&held), then, "{left:?}");
    }
    // There are those again that may share: as many come as have left before.
    calls = wait_all(&turns, "A9 b1 b2 b3");
    let b4 = wait_all(&turns, "b4").remove(0);
    leave(&mut held, "a8");
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "A9");
    calls.push(b4);
    leave(&mut held, "A9");
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "b1+b2+b3+b4");
    drop(held);
    assert_eq!((turns.waiting(), turns.taken(), turns.line().shared.len()), (0, 0, 0));
}

#[test]
fn whoever_comes_when_nobody_waits_has_a_free_place_or_the_shared_one_that_the_fewest_have() {
    let turns = Turns::new(3);
    let mut first: Vec<_> = (0..3).map(|_| turns.take_at_once(Waiting::Alone).unwrap()).collect();
    let (mut calls, mut held) = (wait_all(&turns, "a1 a2 a3"), Vec::new());
    first.truncate(1);
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "a1 a2");
    for (comes, then) in [
        ("a4", "a1+a3 a2+a4"),
        ("B1", "a1+a3 a2+a4"),
        // B1 waits for a place of its own.
        ("a5", "a1+a3 a2+a4"),
    ] {
        if comes == "a4" {
            seat(&mut calls, &mut held);
            assert_eq!(places(&held), "a1 a2", "a3 was in the line before, and waits for a place to be left");
            leave(&mut held, "a1");
            seat(&mut calls, &mut held);
            calls.extend(wait_all(&turns, "a1"));
            seat(&mut calls, &mut held);
        }
        calls.extend(wait_all(&turns, comes));
        seat(&mut calls, &mut held);
        assert_eq!(places(&held), then, "{comes}");
    }
    drop(first);
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "B1 a1+a3 a2+a4");
    // While others share, a free place is one to share, too; and when they have gone, none is.
    leave(&mut held, "B1");
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "a1+a3 a2+a4 a5");
    leave(&mut held, "a5");
    for (comes, then) in [("b2", "a1+a3 a2+a4 b2"), ("b3", "a1+a3 a2+a4 b2+b3")] {
        calls.extend(wait_all(&turns, comes));
        seat(&mut calls, &mut held);
        assert_eq!(places(&held), then, "{comes}");
    }
    held.clear();
    calls.extend(wait_all(&turns, "a1 a2 a3"));
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "a1 a2 a3");
    assert!(held.iter().all(|(_, turn)| !turn.is_shared()));
}

#[test]
fn nobody_comes_to_a_place_that_is_closed() {
    let turns = Turns::new(1);
    let first = turns.take_at_once(Waiting::Alone).unwrap();
    let (mut calls, mut held) = (wait_all(&turns, "a1 a2"), Vec::new());
    drop(first);
    seat(&mut calls, &mut held);
    held[0].1.close();
    calls.extend(wait_all(&turns, "a3"));
    leave(&mut held, "a2");
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "a1");
    leave(&mut held, "a1");
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "a3");
}

#[test]
fn a_shared_place_is_passed_on_by_the_last_that_has_it_and_by_none_that_did_not_take_it() {
    let turns = Turns::new(1);
    let first = turns.take_at_once(Waiting::Alone).unwrap();
    let (mut calls, mut held) = (wait_all(&turns, "a1 a2 a3"), Vec::new());
    drop(first);
    drop(calls.remove(1));
    let mut next = ask_all(&turns, "b1", 100);
    seat(&mut calls, &mut held);
    assert_eq!(places(&held), "a1+a3");
    leave(&mut held, "a1");
    assert!(told(&mut next).is_empty());
    drop(held);
    assert_eq!(told(&mut next).len(), 1);
}

#[test]
fn a_call_that_has_had_a_turn_is_the_next_of_its_client_however_full_the_line_is() {
    let turns = Turns::new(1);
    let first = turns.take_at_once(Waiting::Alone).unwrap();
    let mut calls = ask_all(&turns, "a1 a2 b1", 3);
    for again in ["a8", "a9"] {
        calls.push((again.to_owned(), wait(&turns, "a", 3, Waiting::Again)));
    }
    assert_eq!(order(first, calls), "a9 b1 a8 a1 a2");
}

#[test]
fn what_this_server_waits_for_itself_is_in_nobodys_count() {
    let turns = Turns::new(1);
    let first = turns.take_at_once(Waiting::Alone).unwrap();
    let mut calls: Vec<_> = ["_1", "_2", "_3"].map(|ours| (ours.to_owned(), wait(&turns, "", 1, Waiting::Ours))).into();
    assert_eq!(turns.waiting(), 0);
    calls.extend(ask_all(&turns, "a1 a2", 1));
    assert_eq!(told(&mut calls)[0].1.as_ref().err(), Some(&Full), "the line is full of one call, and it is not ours");
    assert_eq!(turns.waiting(), 1);
    drop(calls.remove(1));
    assert_eq!(order(first, calls), "_1 a1 _3");
}

#[test]
fn where_nobody_may_wait_a_turn_is_to_be_had_when_it_is_free() {
    let turns = Turns::new(1);
    let mut calls = ask_all(&turns, "a1 a2", 0);
    let told = told(&mut calls);
    assert!(told[0].1.is_ok());
    assert_eq!(told[1].1.as_ref().err(), Some(&Full));
}

/// Whatever comes, leaves and ends: no place is lost or made, none is free while somebody waits, a client's calls have
/// their turns in their order, no other client has two turns while one of it waits, and only who may share does.
#[test]
fn whatever_happens_turns_stay_fair_and_none_is_lost() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (count, waiting_max, sharing) = (random.usize(1..4), random.usize(0..12), random.usize(0..6));
        let turns = Turns::new(count);
        let mut waiting: Vec<(String, Asking)> = Vec::new();
        let mut held: Vec<(String, Turn)> = Vec::new();
        // Those that want a place of their own.
        let mut alone = HashSet::new();
        // For each client that waits: how many turns each other has had since it waits.
        let mut since: HashMap<String, HashMap<String, usize>> = HashMap::new();
        let mut last_number: HashMap<String, usize> = HashMap::new();
        for step in 0..400 {
            match random.usize(0..10) {
                0..5 => {
                    let client = ["a", "a", "a", "b", "c"][random.usize(0..5)];
                    let how = if random.usize(0..5) < sharing { Waiting::OrTogether } else { Waiting::Alone };
                    let name = format!("{client}{step}");
                    alone.extend((how == Waiting::Alone).then_some(name.clone()));
                    waiting.push((name, wait(&turns, client, waiting_max, how)));
                }
                5..7 if !waiting.is_empty() => drop(waiting.remove(random.usize(0..waiting.len()))),
                _ if !held.is_empty() => drop(held.swap_remove(random.usize(0..held.len()))),
                _ => {}
            }
            // Those that have their turns at once have them in a circle, too: each client's first, then each one's second.
            let mut rounds: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            let mut turns_of: HashMap<String, usize> = HashMap::new();
            for (name, result) in told(&mut waiting) {
                let (client, number) = (name[..1].to_owned(), name[1..].parse().unwrap());
                let Ok(turn) = result else { continue };
                assert!(last_number.insert(client.clone(), number).is_none_or(|last| last < number), "{seed}: {name}");
                held.push((name, turn));
                let round = turns_of.entry(client.clone()).or_default();
                *round += 1;
                rounds.entry(*round).or_default().push(client);
            }
            for clients in rounds.values() {
                since.retain(|client, _| !clients.contains(client));
                for (other, had) in &mut since {
                    for client in clients {
                        let had = had.entry(client.clone()).or_default();
                        *had += 1;
                        assert!(*had <= 1, "{seed}: {client} had {had} turns while {other} waited");
                    }
                }
            }
            let waits = |client: &str| waiting.iter().any(|(name, _)| name.starts_with(client));
            since.retain(|client, _| waits(client));
            for client in ["a", "b", "c"].into_iter().filter(|client| waits(client)) {
                since.entry(client.to_owned()).or_default();
            }
            let places = places(&held);
            let places: Vec<Vec<&str>> = places.split_whitespace().map(|place| place.split('+').collect()).collect();
            assert_eq!((turns.taken(), turns.waiting()), (places.len(), waiting.len()), "{seed}");
            assert!(places.len() <= count, "{seed}");
            assert!(waiting.is_empty() || places.len() == count, "{seed}: a place is free, and somebody waits");
            for place in &places {
                assert!(place.len() == 1 || place.iter().all(|name| !alone.contains(*name)), "{seed}: {place:?}");
                assert!(place.len() <= TOGETHER_MAX, "{seed}: {place:?}");
            }
        }
        drop((waiting, held));
        assert_eq!((turns.taken(), turns.waiting(), turns.line().shared.len()), (0, 0, 0), "{seed}");
    }
}
