//! The progress of a call. It is counted where rows arrive, and read for progress notifications.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a call has done so far. Clones count together. The default counts nothing, for a call whose client wants no progress.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Arc<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    rows: AtomicU64,
    bytes: AtomicU64,
    statements: AtomicU64,
    statements_all: AtomicU64,
    commit_started: AtomicBool,
}

impl Progress {
    /// One that counts.
    pub fn counted() -> Self {
        Self(Some(Arc::default()))
    }

    /// The same, or a new one that counts if this does not.
    pub fn or_counted(self) -> Self {
        if self.0.is_some() { self } else { Self::counted() }
    }

    /// Rows and bytes so far.
    pub fn so_far(&self) -> (u64, u64) {
        self.0
            .as_ref()
            .map_or((0, 0), |counts| (counts.rows.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed)))
    }

    /// More rows have come, with this many bytes as PostgreSQL sends them.
    pub fn rows(&self, rows: usize, bytes: usize) {
        if let Some(counts) = &self.0 {
            // Only the call itself counts, so nothing is lost between reading and writing, and no lock is needed for a row.
            for (count, more) in [(&counts.rows, rows), (&counts.bytes, bytes)] {
                count.store(count.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
            }
        }
    }

    /// A commit begins: from now on its changes may be saved.
    pub fn commit_started(&self) {
        if let Some(counts) = &self.0 {
            counts.commit_started.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a commit has begun.
    pub fn has_commit_started(&self) -> bool {
        self.0.as_ref().is_some_and(|counts| counts.commit_started.load(Ordering::Relaxed))
    }

    /// The next statement begins, of this many.
    pub fn statement_of(&self, all: usize) {
        if let Some(counts) = &self.0 {
            counts.statements.fetch_add(1, Ordering::Relaxed);
            counts.statements_all.store(all as u64, Ordering::Relaxed);
        }
    }
}

/// `statement 2 of 5, 1200 rows, 51200 bytes`.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(counts) = &self.0 else { return Ok(()) };
        let [rows, bytes, statements, all] = [&counts.rows, &counts.bytes, &counts.statements, &counts.statements_all]
            .map(|count| count.load(Ordering::Relaxed));
        if all > 0 {
            write!(f, "statement {statements} of {all}, ")?;
        }
        write!(f, "{rows} row{}, {bytes} bytes", if rows == 1 { "" } else { "s" })
    }
}
