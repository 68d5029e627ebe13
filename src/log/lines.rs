//! The queue of lines to stderr and to the log file. A thread of its own writes them.
//!
//! The thread writes all waiting lines at once and then pauses, so that a busy server wakes it some hundred times a second and
//! not for each line. If nobody reads stderr, only this thread waits. When too many bytes wait, further lines are dropped and
//! counted, and a line reports their number as soon as there is room again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::file::{LogFile, OpenFile};

/// How many bytes may wait to be written.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// How many of the last lines are kept to be read, and how many bytes.
const RECENT_LINES_MAX: usize = 200;
const RECENT_BYTES_MAX: usize = 256 << 10;

/// How long the thread pauses after it has written.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the end of the process, or a change of the file, waits for lines that are not written yet.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The queue. Clones share it.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There are lines to write, or the log ends.
    filled: Condvar,
    /// All lines are written.
    written: Condvar,
    file: Mutex<Option<OpenFile>>,
    report: fn(Report) -> Vec<u8>,
    recent: Mutex<Recent>,
}

/// What the queue has to say of itself.
pub(super) enum Report {
    /// So many lines were dropped.
    Lost(u64),
    /// The path of the file leads elsewhere, and cannot be opened; why.
    NotFollowed(String),
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lost: u64,
    is_writing: bool,
    is_asleep: bool,
    has_ended: bool,
}

/// Locks, also after a panic of another holder: the data is valid between any two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    /// A queue, and the thread that writes its lines. `report` makes a line of what it has to say itself.
    pub(super) fn new(report: fn(Report) -> Vec<u8>) -> io::Result<Self> {
        let lines = Self::unwritten(report);
        let shared = lines.0.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write())?;
        Ok(lines)
    }

    /// A queue whose lines no thread writes.
    fn unwritten(report: fn(Report) -> Vec<u8>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            file: Mutex::default(),
            report,
            recent: Mutex::default(),
        }))
    }

    /// The last lines that were written, the newest first, without their newlines. Lines of the last few milliseconds may
    /// be missing.
    pub(super) fn recent(&self) -> Vec<Vec<u8>> {
        lock(&self.0.recent).lines.iter().rev().cloned().collect()
    }

    /// Adds a line to the queue.
    pub(super) fn put(&self, line: &[u8]) {
        let mut state = lock(&self.0.state);
        if state.waiting.len() + line.len() > WAITING_BYTES_MAX {
            state.lost += 1;
            return;
        }
        if state.lost > 0 {
            let report = (self.0.report)(Report::Lost(std::mem::take(&mut state.lost)));
            state.waiting.extend_from_slice(&report);
        }
        state.waiting.extend_from_slice(line);
        if state.is_asleep {
            self.0.filled.notify_one();
        }
    }

    /// Writes further lines to this file too, or to no file.
    pub(super) fn use_file(&self, file: Option<LogFile>) -> Result<(), String> {
        if lock(&self.0.file).as_ref().map(|open| &open.of) == file.as_ref() {
            return Ok(());
        }
        let file = file.map(OpenFile::open).transpose()?;
        // Lines from before belong into the old file.
        self.flush();
        *lock(&self.0.file) = file;
        Ok(())
    }

    /// Opens the file anew if its path leads to another one by now.
    pub(super) fn follow_file(&self) {
        self.0.follow();
    }

    /// Waits until all lines are written, for at most [`FLUSH_TIMEOUT`].
    fn flush(&self) {
        let state = lock(&self.0.state);
        let is_busy = |state: &mut State| !state.waiting.is_empty() || state.is_writing;
        drop(self.0.written.wait_timeout_while(state, FLUSH_TIMEOUT, is_busy));
    }

    /// Writes the waiting lines and ends the thread.
    pub(super) fn end(&self) {
        lock(&self.0.state).has_ended = true;
        self.0.filled.notify_one();
        self.flush();
    }
}

impl Shared {
    /// Opens the file anew if its path leads to another one by now. If that is not possible, stderr is told.
    fn follow(&self) {
        if let Some(Err(why)) = lock(&self.file).as_mut().map(OpenFile::follow) {
            let _ = io::stderr().write_all(&(self.report)(Report::NotFollowed(why)));
        }
    }

    fn write(&self) {
        let mut state = lock(&self.state);
        loop {
            if state.waiting.is_empty() {
                state.is_writing = false;
                self.written.notify_all();
                if state.has_ended {
                    return;
                }
                state.is_asleep = true;
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.is_asleep = false;
                continue;
            }
            state.is_writing = true;
            let lines = std::mem::take(&mut state.waiting);
            drop(state);
            // Done by this thread, so that logging a line does not take longer.
            lock(&self.recent).add(&lines);
            // A line that cannot be written (a full disk, a closed stderr) is lost, without further effect.
            let _ = io::stderr().write_all(&lines);
            self.follow();
            if let Some(file) = &mut *lock(&self.file) {
                let _ = file.write(&lines);
            }
            state = lock(&self.state);
            if !state.has_ended && state.waiting.is_empty() {
                state.is_writing = false;
                self.written.notify_all();
                let paused = self.filled.wait_timeout_while(state, PAUSE, |state| !state.has_ended);
                state = paused.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// The last lines.
#[derive(Default)]
struct Recent {
    /// The oldest first.
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Recent {
    /// Keeps the last of these lines, except one that is longer than all of them may be together.
    fn add(&mut self, lines: &[u8]) {
        let lines: Vec<_> = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(RECENT_LINES_MAX)..];
        for line in last.iter().filter(|line| line.len() <= RECENT_BYTES_MAX) {
            self.bytes += line.len();
            self.lines.push_back(line.to_vec());
            while self.lines.len() > RECENT_LINES_MAX || self.bytes > RECENT_BYTES_MAX {
                self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_within_their_bounds() {
        let mut recent = Recent::default();
        let kept = |recent: &Recent| recent.lines.iter().map(|line| line.len()).collect::<Vec<_>>();
        recent.add(b"a\nbb\n");
        recent.add(b"ccc\n");
        assert_eq!(kept(&recent), [1, 2, 3]);
        recent.add(&[b'x'; RECENT_BYTES_MAX + 1]);
        assert_eq!(kept(&recent), [1, 2, 3], "a line that is too long removes no other");
        recent.add(&[b'x'; RECENT_BYTES_MAX - 3]);
        assert_eq!(kept(&recent), [3, RECENT_BYTES_MAX - 3]);
        for _ in 0..3 {
            recent.add("dddd\n".repeat(RECENT_LINES_MAX + 50).as_bytes());
            assert_eq!(kept(&recent), [4; RECENT_LINES_MAX]);
            assert_eq!(recent.bytes, 4 * RECENT_LINES_MAX);
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_bounded_and_lost_ones_are_reported_when_there_is_room() {
        let lines = Lines::unwritten(|report| match report {
            Report::Lost(count) => format!("{count} lost\n").into_bytes(),
            Report::NotFollowed(why) => why.into_bytes(),
        });
        let line = [b'x'; 1000];
        let fit = WAITING_BYTES_MAX / line.len();
        for _ in 0..fit + 7 {
            lines.put(&line);
        }
        assert_eq!(std::mem::take(&mut lock(&lines.0.state).waiting).len(), fit * line.len());
        lines.put(b"next\n");
        lines.put(b"and next\n");
        assert_eq!(lock(&lines.0.state).waiting, b"7 lost\nnext\nand next\n");
    }
}
