use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{Admission, Arc, FairQueue, Full, Permit};

type Asking = Pin<Box<dyn Future<Output = Result<Permit, Full>>>>;

/// A call that asks for a permit; it is in the queue when this returns.
fn ask(queue: &Arc<FairQueue>, client: &str, waiting_max: usize) -> Asking {
    wait(queue, client, waiting_max, Admission::Normal)
}

fn wait(queue: &Arc<FairQueue>, client: &str, waiting_max: usize, admission: Admission) -> Asking {
    let (queue, client) = (queue.clone(), Arc::from(client));
    let mut asking: Asking = Box::pin(async move { queue.acquire(&client, waiting_max, admission).await });
    if let Poll::Ready(known) = poll(&mut asking) {
        asking = Box::pin(std::future::ready(known));
    }
    asking
}

fn poll(asking: &mut Asking) -> Poll<Result<Permit, Full>> {
    asking.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Calls by name, `a1 a2 b1`: the client is the first letter.
fn ask_all(queue: &Arc<FairQueue>, calls: &str, waiting_max: usize) -> Vec<(String, Asking)> {
    calls.split(' ').map(|call| (call.to_owned(), ask(queue, &call[..1], waiting_max))).collect()
}

/// The calls that have a permit or a refusal now. They are removed from `calls`.
fn answered(calls: &mut Vec<(String, Asking)>) -> Vec<(String, Result<Permit, Full>)> {
    let mut answered = Vec::new();
    calls.retain_mut(|(name, asking)| match poll(asking) {
        Poll::Ready(result) => {
            answered.push((name.clone(), result));
            false
        }
        Poll::Pending => true,
    });
    answered
}

/// The order in which the calls get the one permit. Each gives it back before the next one is looked for.
fn order(first: Permit, mut calls: Vec<(String, Asking)>) -> String {
    let (mut order, mut permit) = (Vec::new(), Some(first));
    while !calls.is_empty() {
        drop(permit.take());
        let mut answered = answered(&mut calls);
        assert_eq!(answered.len(), 1, "one permit, one call: {order:?}");
        let (name, result) = answered.remove(0);
        order.push(name);
        permit = Some(result.unwrap());
    }
    order.join(" ")
}

#[test]
fn permits_go_to_the_clients_in_a_circle_and_to_each_clients_calls_in_their_order() {
    for (come, go) in [
        ("a1 a2 a3", "a1 a2 a3"),
        ("a1 a2 a3 b1", "a1 b1 a2 a3"),
        ("a1 a2 a3 b1 c1 b2", "a1 b1 c1 a2 b2 a3"),
        ("a1 b1 b2 b3 a2 a3", "a1 b1 a2 b2 a3 b3"),
    ] {
        let queue = FairQueue::new(1);
        let first = queue.try_acquire().unwrap();
        let calls = ask_all(&queue, come, 100);
        assert_eq!(order(first, calls), go, "{come}");
        assert_eq!((queue.waiting(), queue.in_use()), (0, 0));
    }
}

#[test]
fn there_are_as_many_permits_as_connections() {
    let queue = FairQueue::new(2);
    let mut calls = ask_all(&queue, "a1 a2 a3 b1", 100);
    let permits = answered(&mut calls);
    assert_eq!(permits.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a1", "a2"]);
    assert!(queue.try_acquire().is_none());
    assert_eq!((queue.waiting(), queue.in_use()), (2, 2));
    drop(permits);
    assert_eq!(answered(&mut calls).len(), 2);
    assert_eq!((queue.waiting(), queue.in_use()), (0, 0));
}

#[test]
fn a_call_that_leaves_does_not_delay_the_others() {
    let queue = FairQueue::new(1);
    let first = queue.try_acquire().unwrap();
    let mut calls = ask_all(&queue, "a1 b1 a2 c1", 100);
    calls.retain(|(name, _)| name != "b1" && name != "a1");
    assert_eq!(queue.waiting(), 2);
    assert_eq!(order(first, calls), "a2 c1");
}

#[test]
fn a_permit_given_to_a_call_that_leaves_in_that_moment_goes_to_the_next() {
    let queue = FairQueue::new(1);
    let first = queue.try_acquire().unwrap();
    let mut calls = ask_all(&queue, "a1 b1 c1", 100);
    drop(first);
    // The permit is sent but not received: a1 has it first, and after a1 has left, b1.
    assert_eq!(queue.waiting(), 2);
    drop(calls.remove(0));
    drop(calls.remove(0));
    let answered = answered(&mut calls);
    assert_eq!(answered[0].0, "c1");
    drop(answered);
    assert_eq!((queue.waiting(), queue.in_use()), (0, 0));
}

#[test]
fn when_the_queue_is_full_the_newest_call_of_the_client_with_the_most_is_refused() {
    for (come, refused, go) in [
        // The new call, if its client has the most.
        ("a1 a2 a3 a4 a5", "a5", "a1 a2 a3 a4"),
        // A client with few calls is admitted.
        ("a1 a2 a3 a4 b1", "a4", "a1 b1 a2 a3"),
        ("a1 a2 a3 a4 b1 b2", "a4 a3", "a1 b1 a2 b2"),
        // But only until it has as many as the others.
        ("a1 a2 a3 a4 b1 b2 b3", "a4 a3 b3", "a1 b1 a2 b2"),
        ("a1 a2 b1 b2 c1", "b2", "a1 b1 c1 a2"),
        // No client has more than one.
        ("a1 b1 c1 d1 e1", "e1", "a1 b1 c1 d1"),
    ] {
        let queue = FairQueue::new(1);
        let first = queue.try_acquire().unwrap();
        let (mut calls, mut refusals) = (Vec::new(), Vec::new());
        for call in come.split(' ') {
            calls.extend(ask_all(&queue, call, 4));
            for (name, result) in answered(&mut calls) {
                assert_eq!(result.err(), Some(Full));
                refusals.push(name);
            }
        }
        assert_eq!(refusals.join(" "), refused, "{come}");
        assert_eq!(order(first, calls), go, "{come}");
    }
}

#[test]
fn a_call_that_has_had_a_permit_is_the_next_of_its_client_however_full_the_queue_is() {
    let queue = FairQueue::new(1);
    let first = queue.try_acquire().unwrap();
    let mut calls = ask_all(&queue, "a1 a2 b1", 3);
    for again in ["a8", "a9"] {
        calls.push((again.to_owned(), wait(&queue, "a", 3, Admission::Retry)));
    }
    assert_eq!(order(first, calls), "a9 b1 a8 a1 a2");
}

#[test]
fn the_calls_of_this_server_itself_are_not_counted() {
    let queue = FairQueue::new(1);
    let first = queue.try_acquire().unwrap();
    let mut calls: Vec<_> =
        ["_1", "_2", "_3"].map(|ours| (ours.to_owned(), wait(&queue, "", 1, Admission::Internal))).into();
    assert_eq!(queue.waiting(), 0);
    calls.extend(ask_all(&queue, "a1 a2", 1));
    assert_eq!(
        answered(&mut calls)[0].1.as_ref().err(),
        Some(&Full),
        "the queue is full of one call, and it is no internal one"
    );
    assert_eq!(queue.waiting(), 1);
    drop(calls.remove(1));
    assert_eq!(order(first, calls), "_1 a1 _3");
}

#[test]
fn where_no_call_may_wait_a_free_permit_is_still_given() {
    let queue = FairQueue::new(1);
    let mut calls = ask_all(&queue, "a1 a2", 0);
    let answered = answered(&mut calls);
    assert!(answered[0].1.is_ok());
    assert_eq!(answered[1].1.as_ref().err(), Some(&Full));
}

#[test]
fn more_permits_are_given_at_once_and_fewer_when_those_in_use_come_back() {
    let queue = FairQueue::new(1);
    let mut permits = vec![queue.try_acquire().unwrap()];
    let mut calls = ask_all(&queue, "a1 a2 b1 b2", 100);
    queue.resize(3);
    let given = answered(&mut calls);
    assert_eq!(given.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a1", "b1"]);
    permits.extend(given.into_iter().map(|(_, permit)| permit.unwrap()));
    queue.resize(1);
    permits.truncate(1);
    assert!(answered(&mut calls).is_empty(), "one is in use, and there is one");
    assert!(queue.try_acquire().is_none());
    permits.clear();
    assert_eq!(answered(&mut calls)[0].0, "a2");
}

/// In any order of calls that come, leave and end, and with any number of permits: no permit is lost or added, none is
/// free while a call waits, the calls of a client get theirs in their order, and no other client gets two while a call
/// of the first one waits.
#[test]
fn whatever_happens_the_queue_stays_fair_and_no_permit_is_lost() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut count, waiting_max) = (random.usize(1..4), random.usize(0..12));
        let queue = FairQueue::new(count);
        let mut waiting: Vec<(String, Asking)> = Vec::new();
        let mut permits: Vec<Permit> = Vec::new();
        // For each waiting client: how many permits each other client has got since then.
        let mut since: HashMap<String, HashMap<String, usize>> = HashMap::new();
        let mut last_number: HashMap<String, usize> = HashMap::new();
        for step in 0..400 {
            match random.usize(0..10) {
                _ if seed % 2 == 1 && random.usize(0..20) == 0 => {
                    count = random.usize(1..4);
                    queue.resize(count);
                }
                0..5 => {
                    let client = ["a", "a", "a", "b", "c"][random.usize(0..5)];
                    waiting.push((format!("{client}{step}"), ask(&queue, client, waiting_max)));
                }
                5..7 if !waiting.is_empty() => drop(waiting.remove(random.usize(0..waiting.len()))),
                _ if !permits.is_empty() => drop(permits.swap_remove(random.usize(0..permits.len()))),
                _ => {}
            }
            // Calls that get permits in one step get them in rotation, too: first one for each client, then the second
            // ones.
            let mut rounds: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            let mut permits_of: HashMap<String, usize> = HashMap::new();
            let before = permits.len();
            for (name, result) in answered(&mut waiting) {
                let (client, number) = (name[..1].to_owned(), name[1..].parse().unwrap());
                let Ok(permit) = result else { continue };
                assert!(last_number.insert(client.clone(), number).is_none_or(|last| last < number), "{seed}: {name}");
                permits.push(permit);
                let round = permits_of.entry(client.clone()).or_default();
                *round += 1;
                rounds.entry(*round).or_default().push(client);
            }
            for clients in rounds.values() {
                since.retain(|client, _| !clients.contains(client));
                for (other, had) in &mut since {
                    for client in clients {
                        let had = had.entry(client.clone()).or_default();
                        *had += 1;
                        assert!(*had <= 1, "{seed}: {client} got {had} permits while {other} waited");
                    }
                }
            }
            let waits = |client: &str| waiting.iter().any(|(name, _)| name.starts_with(client));
            since.retain(|client, _| waits(client));
            for client in ["a", "b", "c"].into_iter().filter(|client| waits(client)) {
                since.entry(client.to_owned()).or_default();
            }
            assert_eq!((queue.in_use(), queue.waiting()), (permits.len(), waiting.len()), "{seed}");
            assert!(permits.len() <= count.max(before), "{seed}");
            assert!(waiting.is_empty() || permits.len() >= count, "{seed}: a permit is free, and a call waits");
        }
        drop((waiting, permits));
        assert_eq!((queue.in_use(), queue.waiting()), (0, 0), "{seed}");
    }
}
