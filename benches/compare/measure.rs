//! The timed runs: every server has its turn in every round, so that what else the machine does hits them all.

use std::time::Duration;

use tokio_postgres::Statement;

use crate::cases::{Case, Repeats};
use crate::check;
use crate::common::Host;
use crate::raw::Raw;
use crate::servers::{Place, Server};

/// How many calls of a session are in flight, where that is not one.
pub const IN_FLIGHT: [usize; 3] = [8, 32, 64];

/// Calls before a case is timed: every connection of every server has prepared its statement then.
const WARM_UP_CALLS: usize = 64;

/// The same for the large answers.
const WARM_UP_CALLS_LARGE: usize = 16;

/// One case, ready to be timed: every answer has been checked, everything is warm.
pub struct Bench<'a> {
    raw: &'a Raw,
    case: &'a Case,
    statements: Vec<Statement>,
    raw_bytes: usize,
    /// With the bytes of an answer.
    hosts: Vec<(Server, Host, usize)>,
}

/// The times of one server at one case.
pub struct OneAtATime {
    pub name: &'static str,
    /// Sorted.
    pub times: Vec<Duration>,
    /// Of an answer; of its rows as they come from PostgreSQL for the raw driver.
    pub bytes: usize,
    /// Processor time of the server's process for one call.
    pub processor: Option<Duration>,
}

impl OneAtATime {
    pub fn median(&self) -> f64 {
        self.times[self.times.len() / 2].as_secs_f64()
    }

    pub fn p99(&self) -> f64 {
        self.times[self.times.len() * 99 / 100].as_secs_f64()
    }
}

/// What one server did with so many calls in flight.
pub struct InFlight {
    pub name: &'static str,
    pub outstanding: usize,
    /// Median of the rounds.
    pub calls_a_second: f64,
    /// The raw driver's best pool.
    pub connections: Option<usize>,
}

impl<'a> Bench<'a> {
    pub fn new(place: &Place, raw: &'a Raw, case: &'a Case) -> Self {
        let statements = raw.prepare(case);
        let mut hosts = Vec::new();
        for server in Server::ALL.into_iter().filter(|server| server.knows(case)) {
            let mut host = place.start(server);
            host.initialize();
            let shown = raw.shown(case, Case::key(host.requests + 1));
            let bytes = check::answer(&mut host, case, &shown, server == Server::Ours);
            let calls = if case.rows > 1000 { WARM_UP_CALLS_LARGE } else { WARM_UP_CALLS };
            host.keep_in_flight(case, bytes, calls, calls);
            hosts.push((server, host, bytes));
        }
        let raw_bytes = raw.bytes(case, &statements);
        Self { raw, case, statements, raw_bytes, hosts }
    }

    pub fn one_at_a_time(&mut self) -> Vec<OneAtATime> {
        let Repeats { rounds, calls } = self.case.one_at_a_time;
        let mut raw_times = Vec::new();
        let mut times = vec![Vec::new(); self.hosts.len()];
        let processor_times = |hosts: &[(Server, Host, usize)]| -> Vec<Option<Duration>> {
            hosts.iter().map(|(_, host, _)| host.processor_time()).collect()
        };
        let before = processor_times(&self.hosts);
        for _ in 0..rounds {
            raw_times.extend(self.raw.calls(self.case, &self.statements, calls));
            for ((_, host, bytes), times) in self.hosts.iter_mut().zip(&mut times) {
                times.extend((0..calls).map(|_| host.call(self.case, *bytes)));
            }
        }
        let after = processor_times(&self.hosts);
        raw_times.sort_unstable();
        let raw = OneAtATime { name: "raw", times: raw_times, bytes: self.raw_bytes, processor: None };
        let mut all = vec![raw];
        for (at, mut times) in times.into_iter().enumerate() {
            times.sort_unstable();
            let (server, _, bytes) = &self.hosts[at];
            let used = after[at].zip(before[at]).map(|(after, before)| after - before);
            let processor = used.map(|used| used / times.len() as u32);
            all.push(OneAtATime { name: server.name(), times, bytes: *bytes, processor });
        }
        all
    }

    pub fn in_flight(&mut self, outstanding: usize) -> Vec<InFlight> {
        let Repeats { rounds, calls } = self.case.in_flight;
        let calls = calls.max(outstanding);
        let case = self.case;
        let mut raw_times = vec![Vec::new(); case.pools.len()];
        let mut times = vec![Vec::new(); self.hosts.len()];
        for _ in 0..rounds {
            for (&connections, times) in case.pools.iter().zip(&mut raw_times) {
                times.push(self.raw.keep_in_flight(case, &self.statements, connections, outstanding, calls));
            }
            for ((_, host, bytes), times) in self.hosts.iter_mut().zip(&mut times) {
                times.push(host.keep_in_flight(case, *bytes, outstanding, calls));
            }
        }
        let rate = |mut times: Vec<Duration>| {
            times.sort_unstable();
            calls as f64 / times[times.len() / 2].as_secs_f64()
        };
        let pools = case.pools.iter().zip(raw_times).map(|(&connections, times)| (connections, rate(times)));
        let (connections, best) = pools.max_by(|one, other| one.1.total_cmp(&other.1)).unwrap();
        let mut all = vec![InFlight { name: "raw", outstanding, calls_a_second: best, connections: Some(connections) }];
        for ((server, ..), times) in self.hosts.iter().zip(times) {
            all.push(InFlight { name: server.name(), outstanding, calls_a_second: rate(times), connections: None });
        }
        all
    }

    /// How many places each of so many calls, queued at once, was answered before or after its turn; sorted.
    pub fn places_apart(&mut self, calls: usize, times: usize) -> Vec<(&'static str, Vec<u64>)> {
        let mut all: Vec<_> = self.hosts.iter().map(|(server, ..)| (server.name(), Vec::new())).collect();
        for _ in 0..times {
            for ((_, host, bytes), (_, apart)) in self.hosts.iter_mut().zip(&mut all) {
                apart.extend(host.places_apart(self.case, *bytes, calls));
            }
        }
        all.iter_mut().for_each(|(_, apart)| apart.sort_unstable());
        all
    }
}
