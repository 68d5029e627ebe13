//! The client under load. It looks only at the id, the length and the marker of an answer.
//!
//! It is one thread. It reads all answers that are ready, then sends a request for each of them in one write. The requests
//! in flight fit into a pipe, so that it never waits until a server reads.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::common::Host;

/// How many bytes the answers of a case may differ in length: ids, durations and rows have more digits or fewer.
const LENGTH_DIFFERENCE_MAX: usize = 48;

/// The marker must be in the last bytes: only a little follows the last row.
const TAIL_BYTES: usize = 600;

/// The id of a JSON-RPC message, which is near its beginning.
pub fn id_of(line: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"id\":";
    let head = &line[..line.len().min(64)];
    let at = head.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&head[at..at + digits]).ok()?.parse().ok()
}

impl Host {
    /// Sends one request and waits for its answer.
    pub fn call(&mut self, case: &Case, bytes: usize) -> Duration {
        let mut request = Vec::new();
        self.requests += 1;
        case.request(self.requests, &mut request);
        let began = Instant::now();
        self.input.write_all(&request).unwrap();
        self.read_line();
        let took = began.elapsed();
        assert_eq!(self.check(case, bytes), self.requests);
        took
    }

    /// Makes `calls` calls, of which `outstanding` are in flight until the last one is sent.
    pub fn keep_in_flight(&mut self, case: &Case, bytes: usize, outstanding: usize, calls: usize) -> Duration {
        let first = self.requests + 1;
        let last = self.requests + calls as u64;
        let mut is_answered = vec![false; calls];
        let mut requests = Vec::new();
        let began = Instant::now();
        for _ in 0..outstanding.min(calls) {
            self.requests += 1;
            case.request(self.requests, &mut requests);
        }
        let mut answered = 0;
        while answered < calls {
            self.input.write_all(&requests).unwrap();
            requests.clear();
            loop {
                self.read_line();
                let id = self.check(case, bytes);
                let was_answered = std::mem::replace(&mut is_answered[(id - first) as usize], true);
                assert!(!was_answered, "{id} is answered twice");
                answered += 1;
                if self.requests < last {
                    self.requests += 1;
                    case.request(self.requests, &mut requests);
                }
                if !self.output.buffer().contains(&b'\n') {
                    break;
                }
            }
        }
        began.elapsed()
    }

    /// Sends `calls` requests at once. Returns for each answer how many positions it is away from that of its request.
    pub fn positions_off(&mut self, case: &Case, bytes: usize, calls: usize) -> Vec<u64> {
        let first = self.requests + 1;
        let mut requests = Vec::new();
        for id in first..first + calls as u64 {
            case.request(id, &mut requests);
        }
        self.requests += calls as u64;
        // These do not fit into a pipe: another thread writes them while this one reads.
        let mut input = File::from(self.input.as_fd().try_clone_to_owned().unwrap());
        let writer = std::thread::spawn(move || input.write_all(&requests).unwrap());
        let positions = (first..first + calls as u64).map(|position| {
            self.read_line();
            self.check(case, bytes).abs_diff(position)
        });
        let positions = positions.collect();
        writer.join().unwrap();
        positions
    }

    /// Checks the answer in `line` and returns its id.
    fn check(&self, case: &Case, bytes: usize) -> u64 {
        let line = &self.line[..];
        let beginning = || String::from_utf8_lossy(&line[..line.len().min(600)]).into_owned();
        let Some(id) = id_of(line) else { panic!("an answer without an id: {}", beginning()) };
        let marker = case.marker(id);
        let tail = &line[line.len().saturating_sub(TAIL_BYTES)..];
        let has_marker = tail.windows(marker.len()).any(|window| window == marker.as_bytes());
        let is_as_long = line.len().abs_diff(bytes) <= LENGTH_DIFFERENCE_MAX;
        assert!(has_marker && is_as_long, "a wrong answer, {} bytes instead of {bytes}: {}", line.len(), beginning());
        id
    }
}
