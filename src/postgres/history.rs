//! What is known of statements that have run before, by their text: how much they gave, and how long that took.
//!
//! A statement that gave little is run to its end at once (`run.rs`), and one that was quick besides may share a
//! connection with others of its kind (`turns.rs`). That it gives more or takes longer this time costs it a second run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::page::Limits;

/// So many texts are remembered beside those that are prepared on a connection.
const TEXTS_MAX: usize = 1024;

/// What gave more than this is never run to its end at once.
const SMALL_ROWS_MAX: usize = 1000;

/// What gave more than this, in bytes, or took longer, shares no connection: others would wait for it.
const QUICK_BYTES_MAX: usize = 16 << 10;
const QUICK_MAX: Duration = Duration::from_millis(10);

/// The statements that have run on the connections of a pool.
#[derive(Default)]
pub(super) struct History(Mutex<HashMap<Arc<str>, Arc<Past>>>);

/// How a statement went when it was last read to its end; nothing is known before.
#[derive(Default)]
pub struct Past(Mutex<Known>);

#[derive(Default)]
struct Known {
    last: Option<Size>,
    /// How long it took when it was last alone on its connection, and the time before: the machine holds up a run now and
    /// then, and seldom two.
    took: [Option<Duration>; 2],
}

/// The size of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its rows.
    pub rows: usize,
    /// Their bytes, as JSON.
    pub bytes: usize,
}

impl History {
    /// What is known of a text, now and later.
    pub(super) fn of(&self, sql: &Arc<str>) -> Arc<Past> {
        let mut texts = self.texts();
        if let Some(past) = texts.get(sql) {
            return past.clone();
        }
        if texts.len() >= TEXTS_MAX {
            // Of the others nobody would hear any more.
            texts.retain(|_, past| Arc::strong_count(past) > 1);
        }
        texts.entry(sql.clone()).or_default().clone()
    }

    /// Whether a text may share a connection, if its answer may hold so much.
    pub(super) fn is_quick(&self, sql: &str, limits: Limits) -> bool {
        self.texts().get(sql).is_some_and(|past| past.is_quick(limits))
    }

    fn texts(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Past>>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// Remember how much it gave, `None` if that is not known; and how long it took, if it was alone on its connection.
    pub(super) fn remember(&self, size: Option<Size>, took: Option<Duration>) {
        let mut known = self.known();
        known.last = size;
        if took.is_some() {
            known.took = [took, known.took[0]];
        }
    }

    /// Whether it gave much less than its answer may hold now.
    pub(super) fn is_small(&self, limits: Limits) -> bool {
        self.known().last.is_some_and(|size| size.is_small(limits))
    }

    fn is_quick(&self, limits: Limits) -> bool {
        let known = self.known();
        known.last.is_some_and(|size| size.is_small(limits) && size.bytes <= QUICK_BYTES_MAX)
            && known.took.iter().flatten().any(|took| *took <= QUICK_MAX)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Size {
    fn is_small(self, limits: Limits) -> bool {
        self.rows <= limits.rows_max.min(SMALL_ROWS_MAX) && self.bytes <= limits.bytes_max / 2
    }
}
