//! The host's side under load: raw lines, of which only the id, the length and a marker are looked at.
//!
//! One thread does it. It reads what there is, and for each answer in it sends a request, all of them in one write;
//! the requests in flight fit into a pipe, so it never waits for a server to read.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::common::Host;

/// How much the lengths of a case's answers may differ: ids, durations and the looked-up row have more digits or fewer.
const BYTES_APART_MAX: usize = 48;

/// Where the marker is sought. Behind the last row there is a little more.
const TAIL_BYTES: usize = 600;

/// The id of a message that begins with what JSON-RPC's begin with.
pub fn id_of(line: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"id\":";
    let head = &line[..line.len().min(64)];
    let at = head.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&head[at..at + digits]).ok()?.parse().ok()
}

impl Host {
    /// Send one request and wait for its answer.
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

    /// Make `calls`, always `outstanding` of them in flight until the last are sent.
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

    /// Send `calls` at once; how many places each was answered before or after its turn.
    pub fn places_apart(&mut self, case: &Case, bytes: usize, calls: usize) -> Vec<u64> {
        let first = self.requests + 1;
        let mut requests = Vec::new();
        for id in first..first + calls as u64 {
            case.request(id, &mut requests);
        }
        self.requests += calls as u64;
        // These do not fit into a pipe: another thread waits for the server to read them.
        let mut input = File::from(self.input.as_fd().try_clone_to_owned().unwrap());
        let writer = std::thread::spawn(move || input.write_all(&requests).unwrap());
        let apart = (first..first + calls as u64).map(|turn| {
            self.read_line();
            self.check(case, bytes).abs_diff(turn)
        });
        let apart = apart.collect();
        writer.join().unwrap();
        apart
    }

    /// The id of the answer in `line`, which is an answer to that request.
    fn check(&self, case: &Case, bytes: usize) -> u64 {
        let line = &self.line[..];
        let shown = || String::from_utf8_lossy(&line[..line.len().min(600)]).into_owned();
        let Some(id) = id_of(line) else { panic!("an answer without an id: {}", shown()) };
        let marker = case.marker(id);
        let tail = &line[line.len().saturating_sub(TAIL_BYTES)..];
        let has_marker = tail.windows(marker.len()).any(|window| window == marker.as_bytes());
        let is_as_long = line.len().abs_diff(bytes) <= BYTES_APART_MAX;
        assert!(has_marker && is_as_long, "a wrong answer, {} bytes instead of {bytes}: {}", line.len(), shown());
        id
    }
}
