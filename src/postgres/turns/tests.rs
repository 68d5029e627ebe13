use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{Arc, Full, Waiting};

type Turns = super::Turns<()>;

type Turn = Arc<super::Turn<()>>;

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
        let first = turns.take_free().unwrap();
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
    assert!(turns.take_free().is_none());
    assert_eq!((turns.waiting(), turns.taken()), (2, 2));
    drop(held);
    assert_eq!(told(&mut calls).len(), 2);
    assert_eq!((turns.waiting(), turns.taken()), (0, 0));
}

#[test]
fn a_call_that_leaves_is_in_nobodys_way() {
    let turns = Turns::new(1);
    let first = turns.take_free().unwrap();
    let mut calls = ask_all(&turns, "a1 b1 a2 c1", 100);
    calls.retain(|(name, _)| name != "b1" && name != "a1");
    assert_eq!(turns.waiting(), 2);
    assert_eq!(order(first, calls), "a2 c1");
}

#[test]
fn a_turn_given_to_a_call_that_leaves_in_that_moment_goes_to_the_next() {
    let turns = Turns::new(1);
    let first = turns.take_free().unwrap();
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
        let first = turns.take_free().unwrap();
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

#[test]
fn calls_that_may_share_a_place_and_are_next_have_a_turn_together() {
    use Waiting::{Alone, OrTogether};
    for (places, come, go) in [
        // As many as there are for each place.
        (1, "a1 a2 a3", "a1+a2+a3"),
        (2, "a1 a2 a3", "a1+a2 a3"),
        (3, "a1 a2 a3", "a1 a2 a3"),
        (1, "a1 a2 a3 a4 a5 a6", "a1+a2+a3+a4 a5+a6"),
        // In the order of their turns, and nobody is passed.
        (1, "a1 a2 b1 c1", "a1+b1+c1+a2"),
        (1, "a1 A2 a3", "a1 A2 a3"),
        (1, "A1 a2 a3 B1", "A1 B1 a2+a3"),
    ] {
        let turns = Turns::new(places);
        let mut held: Vec<_> = (0..places).map(|_| turns.take_free().unwrap()).collect();
        let mut calls: Vec<_> = come
            .split(' ')
            .map(|call| {
                let how = if call.starts_with(char::is_uppercase) { Alone } else { OrTogether };
                (call.to_owned(), wait(&turns, &call[..1].to_lowercase(), 100, how))
            })
            .collect();
        let mut order: Vec<String> = Vec::new();
        while !calls.is_empty() {
            held.remove(0);
            let told = told(&mut calls);
            let mut turn = None;
            // In the order in which they have come, which within a turn is not that of the circle.
            let mut together = Vec::new();
            for (name, result) in told {
                let result = result.unwrap();
                assert!(turn.as_ref().is_none_or(|turn| Arc::ptr_eq(turn, &result)), "{come}: one turn");
                together.push(name);
                turn = Some(result);
            }
            let turn = turn.unwrap();
            assert_eq!(turn.calls, together.len(), "{come}");
            assert_eq!(Arc::strong_count(&turn), 1);
            order.push(together.join("+"));
            held.push(turn);
        }
        let sorted = |turns: &str| -> Vec<Vec<String>> {
            let sorted = |turn: &str| {
                let mut calls: Vec<_> = turn.split('+').map(str::to_owned).collect();
                calls.sort();
                calls
            };
            turns.split(' ').map(sorted).collect()
        };
        assert_eq!(sorted(&order.join(" ")), sorted(go), "{come}");
        drop(held);
        assert_eq!((turns.waiting(), turns.taken()), (0, 0), "{come}");
    }
}

#[test]
fn a_turn_of_several_is_passed_on_by_the_last_of_them_and_by_none_that_did_not_take_it() {
    let turns = Turns::new(1);
    let first = turns.take_free().unwrap();
    let mut calls: Vec<_> =
        ["a1", "a2", "a3"].map(|call| (call.to_owned(), wait(&turns, "a", 100, Waiting::OrTogether))).into();
    drop(first);
    drop(calls.remove(1));
    let mut next = ask_all(&turns, "b1", 100);
    let mut held = told(&mut calls);
    assert_eq!(held.len(), 2);
    drop(held.remove(0));
    assert!(told(&mut next).is_empty());
    drop(held);
    assert_eq!(told(&mut next).len(), 1);
}

#[test]
fn a_call_that_has_had_a_turn_is_the_next_of_its_client_however_full_the_line_is() {
    let turns = Turns::new(1);
    let first = turns.take_free().unwrap();
    let mut calls = ask_all(&turns, "a1 a2 b1", 3);
    for again in ["a8", "a9"] {
        calls.push((again.to_owned(), wait(&turns, "a", 3, Waiting::Again)));
    }
    assert_eq!(order(first, calls), "a9 b1 a8 a1 a2");
}

#[test]
fn what_this_server_waits_for_itself_is_in_nobodys_count() {
    let turns = Turns::new(1);
    let first = turns.take_free().unwrap();
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

/// Whatever comes, leaves and ends: no turn is lost or made, none is free while somebody waits, a client's calls have
/// their turns in their order, and no other client has two turns while one of it waits.
#[test]
fn whatever_happens_turns_stay_fair_and_none_is_lost() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (places, waiting_max) = (random.usize(1..4), random.usize(0..12));
        let turns = Turns::new(places);
        let (mut waiting, mut held): (Vec<(String, Asking)>, Vec<Turn>) = Default::default();
        // For each client that waits: how many turns each other has had since it waits.
        let mut since: HashMap<String, HashMap<String, usize>> = HashMap::new();
        let mut last_number: HashMap<String, usize> = HashMap::new();
        for step in 0..400 {
            match random.usize(0..10) {
                0..5 => {
                    let client = ["a", "a", "a", "b", "c"][random.usize(0..5)];
                    waiting.push((format!("{client}{step}"), ask(&turns, client, waiting_max)));
                }
                5..7 if !waiting.is_empty() => drop(waiting.remove(random.usize(0..waiting.len()))),
                _ if !held.is_empty() => drop(held.swap_remove(random.usize(0..held.len()))),
                _ => {}
            }
            for (name, result) in told(&mut waiting) {
                let (client, number) = (name[..1].to_owned(), name[1..].parse().unwrap());
                let Ok(turn) = result else { continue };
                held.push(turn);
                assert!(last_number.insert(client.clone(), number).is_none_or(|last| last < number), "{seed}: {name}");
                since.remove(&client);
                for (other, had) in &mut since {
                    let had = had.entry(client.clone()).or_default();
                    *had += 1;
                    assert!(*had <= 1, "{seed}: {client} had {had} turns while {other} waited");
                }
            }
            let waits = |client: &str| waiting.iter().any(|(name, _)| name.starts_with(client));
            since.retain(|client, _| waits(client));
            for client in ["a", "b", "c"].into_iter().filter(|client| waits(client)) {
                since.entry(client.to_owned()).or_default();
            }
            assert!(held.len() <= places, "{seed}");
            assert_eq!((turns.taken(), turns.waiting()), (held.len(), waiting.len()), "{seed}");
            assert!(waiting.is_empty() || held.len() == places, "{seed}: a turn is free, and somebody waits");
        }
        drop((waiting, held));
        assert_eq!((turns.taken(), turns.waiting()), (0, 0), "{seed}");
    }
}
