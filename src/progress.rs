//! How far a call has come, for whoever waits for it: counted where rows arrive, read where the client is told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a call has done so far. Clones count together; the default one counts nothing, for a call whose client does
/// not ask.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Arc<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    rows: AtomicU64,
    bytes: AtomicU64,
    statements: AtomicU64,
    statements_all: AtomicU64,
    lasting: AtomicBool,
}

impl Progress {
    /// One that counts.
    pub fn counted() -> Self {
        Self(Some(Arc::default()))
    }

    /// The same, or one that counts if it does not.
    pub fn or_counted(self) -> Self {
        if self.0.is_some() { self } else { Self::counted() }
    }

    /// Rows and bytes so far.
    pub fn so_far(&self) -> (u64, u64) {
        self.0
            .as_ref()
            .map_or((0, 0), |counts| (counts.rows.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed)))
    }

    /// So many rows more have come, of so many bytes as PostgreSQL sends them.
    pub fn rows(&self, rows: usize, bytes: usize) {
        if let Some(counts) = &self.0 {
            // Only the call itself counts, so nothing is lost between reading and writing, and a row costs no lock.
            for (count, more) in [(&counts.rows, rows), (&counts.bytes, bytes)] {
                count.store(count.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
            }
        }
    }

    /// What it has changed is being made to last: from now on nobody can say that it was not.
    pub fn commit_started(&self) {
        if let Some(counts) = &self.0 {
            counts.lasting.store(true, Ordering::Relaxed);
        }
    }

    /// Whether that is so.
    pub fn has_commit_started(&self) -> bool {
        self.0.as_ref().is_some_and(|counts| counts.lasting.load(Ordering::Relaxed))
    }

    /// The next of so many statements begins.
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
