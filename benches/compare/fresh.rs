//! What a new process costs: its start, its memory at rest and while it answers, the length of `tools/list`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cases::Case;
use crate::check;
use crate::raw::RawDriver;
use crate::servers::{Server, Workspace};

/// How long a server is idle before its memory at rest is read.
const REST: Duration = Duration::from_millis(100);

/// The starts of one server.
pub struct Starts {
    pub name: &'static str,
    /// From the start of the process to the answer of `tools/list`, sorted.
    pub listed: Vec<Duration>,
    /// To the answer of the first `select 1`, sorted.
    pub answered: Vec<Duration>,
    /// The resident memory at rest after that, the median.
    pub resident_bytes: Option<u64>,
    pub tools_bytes: usize,
}

/// Starts each server `count` times.
pub fn starts(workspace: &Workspace, count: usize) -> Vec<Starts> {
    let start = |server: Server| (server, Vec::new(), Vec::new(), Vec::new(), 0);
    let mut all = Server::ALL.map(start);
    for _ in 0..count {
        for (server, listed, answered, resident, tools_bytes) in &mut all {
            let began = Instant::now();
            let mut host = workspace.start(*server);
            host.initialize();
            *tools_bytes = host.ask("tools/list", &json!({})).to_string().len();
            listed.push(began.elapsed());
            let arguments = json!({"query": "select 1", "format": "json"});
            host.ask("tools/call", &json!({"name": "async_query_execute", "arguments": arguments}));
            answered.push(began.elapsed());
            sleep(REST);
            resident.push(host.resident_bytes());
        }
    }
    let starts = all.map(|(server, mut listed, mut answered, mut resident, tools_bytes)| {
        listed.sort_unstable();
        answered.sort_unstable();
        resident.sort_unstable();
        Starts { name: server.name(), listed, answered, resident_bytes: resident[count / 2], tools_bytes }
    });
    starts.into()
}

/// The memory that one large answer needs.
pub struct Memory {
    pub name: &'static str,
    pub case: &'static str,
    pub resident_bytes: Option<u64>,
    pub peak_bytes: Option<u64>,
    pub answer_bytes: usize,
}

impl Memory {
    /// (peak − rest) / length of the answer.
    pub fn ratio(&self) -> Option<f64> {
        let (peak, resident) = self.peak_bytes.zip(self.resident_bytes)?;
        Some(peak.saturating_sub(resident) as f64 / self.answer_bytes as f64)
    }
}

/// Of `count` new processes the one with the largest peak.
pub fn memory(
    workspace: &Workspace,
    raw: &RawDriver,
    case: &Case,
    small: &Case,
    server: Server,
    count: usize,
) -> Memory {
    let (small_rows, rows) = (raw.expected_rows(small, 0), raw.expected_rows(case, 0));
    let one = |_| {
        let mut host = workspace.start(server);
        host.initialize();
        check::answer(&mut host, small, &small_rows, server == Server::Ours);
        sleep(REST);
        let resident_bytes = host.resident_bytes();
        host.reset_peak();
        let answer_bytes = check::answer(&mut host, case, &rows, server == Server::Ours);
        let peak_bytes = host.resident_peak_bytes();
        Memory { name: server.name(), case: case.name, resident_bytes, peak_bytes, answer_bytes }
    };
    (0..count).map(one).max_by_key(|memory| memory.peak_bytes).unwrap()
}
