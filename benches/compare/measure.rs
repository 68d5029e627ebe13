//! The timed runs. In every round each program makes its calls, so that other work of the machine affects all of them.

use std::time::Duration;

use tokio_postgres::Statement;

use crate::cases::{Case, Repeats};
use crate::check;
use crate::common::Host;
use crate::common::report::percentile;
use crate::raw::RawDriver;
use crate::servers::{Server, Workspace};

/// The numbers of calls in flight.
pub const IN_FLIGHT: [usize; 3] = [8, 32, 64];

/// Calls before a case is timed. After them every connection of every server has prepared the statement.
const WARM_UP_CALLS: usize = 64;

/// The same for large answers.
const WARM_UP_CALLS_LARGE: usize = 16;

/// One case, ready to be timed: an answer of each server is checked, and the caches are filled.
pub struct Bench<'a> {
    raw: &'a RawDriver,
    case: &'a Case,
    statements: Vec<Statement>,
    raw_bytes: usize,
    /// Each server with the length of its answer in bytes.
    hosts: Vec<(Server, Host, usize)>,
}

/// The times of one server at one case.
pub struct OneAtATime {
    pub name: &'static str,
    /// All calls, sorted.
    pub times: Vec<Duration>,
    /// The length of an answer; for the raw driver of the rows as PostgreSQL sends them.
    pub bytes: usize,
    /// Processor time of the server's process for one call.
    pub processor: Option<Duration>,
}

impl OneAtATime {
    pub fn median(&self) -> Duration {
        percentile(&self.times, 50)
    }

    pub fn p99(&self) -> Duration {
        percentile(&self.times, 99)
    }
}

/// What one program did with several calls in flight.
pub struct InFlight {
    pub name: &'static str,
    pub outstanding: usize,
    /// The median of the rounds.
    pub calls_a_second: f64,
    /// For the raw driver: the size of its best pool.
    pub connections: Option<usize>,
}

/// How many positions the answers of one program are away from those of their requests.
pub struct PositionsOff {
    pub name: &'static str,
    pub sorted: Vec<u64>,
}

impl<'a> Bench<'a> {
    pub fn new(workspace: &Workspace, raw: &'a RawDriver, case: &'a Case) -> Self {
        let statements = raw.prepare(case);
        let mut hosts = Vec::new();
        for server in Server::ALL.into_iter().filter(|server| server.supports(case)) {
            let mut host = workspace.start(server);
            host.initialize();
            let expected = raw.expected_rows(case, Case::key(host.requests + 1));
            let bytes = check::answer(&mut host, case, &expected, server == Server::Ours);
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

    /// Sends `calls` requests at once to each server, `times` times.
    pub fn positions_off(&mut self, calls: usize, times: usize) -> Vec<PositionsOff> {
        let empty = |(server, ..): &(Server, Host, usize)| PositionsOff { name: server.name(), sorted: Vec::new() };
        let mut all: Vec<PositionsOff> = self.hosts.iter().map(empty).collect();
        for _ in 0..times {
            for ((_, host, bytes), positions) in self.hosts.iter_mut().zip(&mut all) {
                positions.sorted.extend(host.positions_off(self.case, *bytes, calls));
            }
        }
        all.iter_mut().for_each(|positions| positions.sorted.sort_unstable());
        all
    }
}
